(function () {
  "use strict";
  var root = document.documentElement, state = document.getElementById("state");
  function kept(key, value) {
    // A browser may refuse to keep anything; then a choice holds for one page.
    try { if (value === undefined) return localStorage.getItem(key); localStorage.setItem(key, value); } catch (error) { return null; }
    return value;
  }
  var theme = location.hash === "#dark" || location.hash === "#light" ? location.hash.slice(1) : kept("theme");
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  document.getElementById("theme").addEventListener("click", function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    kept("theme", root.dataset.theme);
  });
  var zone = document.getElementById("zone"), local = kept("zone") === "local";
  function two(n) { return (n < 10 ? "0" : "") + n; }
  function times() {
    zone.textContent = local ? "local time" : "UTC";
    document.querySelectorAll("time[datetime]").forEach(function (e) {
      var at = new Date(e.dateTime);
      if (isNaN(at)) return;
      e.textContent = local
        ? at.getFullYear() + "-" + two(at.getMonth() + 1) + "-" + two(at.getDate()) + " " + two(at.getHours()) + ":" + two(at.getMinutes()) + ":" + two(at.getSeconds())
        : at.toISOString().replace("T", " ").slice(0, 19);
    });
  }
  zone.addEventListener("click", function () { local = !local; kept("zone", local ? "local" : "utc"); times(); });
  function places() { return Array.prototype.slice.call(document.querySelectorAll(".fleet a.open, details.told > summary")); }
  function mark(e) {
    document.querySelectorAll(".here").forEach(function (h) { h.classList.remove("here"); });
    var holder = e.closest("tr, details");
    if (holder) holder.classList.add("here");
  }
  function move(step) {
    var all = places(), at = all.indexOf(document.activeElement);
    if (!all.length) return;
    var next = all[Math.max(0, Math.min(all.length - 1, at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("focusin", function (event) { if (places().indexOf(event.target) >= 0) mark(event.target); });
  document.addEventListener("keydown", function (event) {
    var tag = event.target.tagName;
    if (event.ctrlKey || event.metaKey || event.altKey || tag === "INPUT" || tag === "SELECT") {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "u") { if (location.pathname !== "/") location.assign("/"); }
    else if (event.key === "/" && document.getElementById("filter")) { event.preventDefault(); document.getElementById("filter").focus(); }
  });
  document.addEventListener("change", function (event) {
    var form = event.target.closest(".filters");
    if (form && event.target.type !== "search") form.requestSubmit();
  });
  function aim() {
    var id = location.hash.slice(1), told = id.indexOf("d-") === 0 && document.getElementById(id);
    if (told) { told.open = true; told.scrollIntoView({ block: "center" }); }
  }
  window.addEventListener("hashchange", aim);
  function refresh(next) {
    var main = document.querySelector("main");
    if (!main || String(next) === main.dataset.revision) return;
    var ask = new XMLHttpRequest();
    ask.open("GET", location.pathname + location.search);
    // Markup comes in as a document, never as text that is turned into one.
    ask.responseType = "document";
    ask.onload = function () {
      var fresh = ask.status === 200 && ask.response && ask.response.querySelector("main");
      if (!fresh) return;
      var open = {}, active = document.activeElement;
      var focused = active && active.closest("details.told") ? active.closest("details.told").id : active && active.getAttribute("href");
      main.querySelectorAll("details[open]").forEach(function (d) { open[d.id] = true; });
      var filter = document.getElementById("filter"), typing = filter && filter === active;
      if (typing) return;
      main.replaceWith(document.adoptNode(fresh));
      fresh.querySelectorAll("details[id]").forEach(function (d) { if (open[d.id]) d.open = true; });
      places().some(function (e) {
        var same = focused && (e.getAttribute("href") === focused || (e.parentNode.id && e.parentNode.id === focused));
        if (same) e.focus({ preventScroll: true });
        return same;
      });
      times();
    };
    ask.send();
  }
  function say(text, gone) { state.textContent = text; state.classList.toggle("gone", !!gone); }
  function poll() {
    var ask = new XMLHttpRequest();
    ask.open("GET", "/api/v1/revision");
    ask.responseType = "json";
    ask.onload = function () { if (ask.response && ask.status === 200) { say("every 15 s"); refresh(ask.response.revision); } else say("no answer", true); };
    ask.onerror = function () { say("no answer", true); };
    ask.send();
  }
  var failures = 0, events = null;
  function listen() {
    events = new EventSource("/events");
    events.addEventListener("open", function () { failures = 0; say("live"); });
    events.addEventListener("revision", function (event) { refresh(event.data); });
    events.addEventListener("error", function () {
      failures += 1;
      say("no answer, trying again", true);
      // Another tab may hold every stream: ask from time to time instead.
      if (events.readyState === EventSource.CLOSED || failures > 5) { events.close(); poll(); setInterval(poll, 15000); }
    });
  }
  times();
  aim();
  root.dataset.script = "ran";
  if (document.querySelector("main[data-revision]")) listen();
})();
