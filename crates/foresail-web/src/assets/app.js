(function () {
  "use strict";
  var root = document.documentElement;
  if (location.hash === "#dark" || location.hash === "#light") root.dataset.theme = location.hash.slice(1);
  document.getElementById("theme").addEventListener("click", function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  var run = JSON.parse(document.getElementById("run").textContent);
  var tip = document.getElementById("tip");
  var LEFT = 60, WIDTH = 780, FULL = 860;
  function range(svg) { return svg.dataset.part === "day" ? run.day : [0, run.demand.length]; }
  function line(text, tag) { var e = document.createElement(tag); e.textContent = text; return e; }
  function told(policy, index) {
    var list = policy.told, low = 0, high = list.length;
    while (low < high) { var mid = (low + high) >> 1; if (list[mid][0] <= index) low = mid + 1; else high = mid; }
    return low > 0 ? list[low - 1] : null;
  }
  function time(index) { return new Date((run.start + index * run.bucket) * 1000).toISOString().replace("T", " ").slice(0, 16) + " UTC"; }
  function show(svg, index, x, y) {
    var r = range(svg), policy = run.policies[+svg.dataset.policy];
    index = Math.max(r[0], Math.min(r[1] - 1, index));
    svg.dataset.at = index;
    tip.replaceChildren(
      line(policy.name + " · " + time(index), "b"),
      line("demand " + run.demand[index] + " req/s, capacity by CPU request " + policy.capacity[index] + " req/s, ready " + policy.ready[index] + ", broke the promise " + policy.violations[index], "span"));
    var last = told(policy, index);
    if (last) tip.appendChild(line((last[0] === index ? "" : time(last[0]) + ": ") + last[1], "i"));
    tip.hidden = false;
    var box = tip.getBoundingClientRect();
    tip.style.left = Math.max(6, Math.min(x + 16, innerWidth - box.width - 8)) + "px";
    tip.style.top = (y + 18 + box.height > innerHeight ? Math.max(6, y - box.height - 14) : y + 18) + "px";
    var mark = svg.querySelector(".mark") || svg.appendChild(document.createElementNS(svg.namespaceURI, "line"));
    var at = LEFT + (index + 0.5 - r[0]) / (r[1] - r[0]) * WIDTH;
    [["class", "mark"], ["x1", at], ["x2", at], ["y1", 34], ["y2", 342]].forEach(function (p) { mark.setAttribute(p[0], p[1]); });
  }
  function hide() { tip.hidden = true; document.querySelectorAll(".mark").forEach(function (m) { m.remove(); }); }
  document.querySelectorAll("svg.timeline").forEach(function (svg) {
    svg.addEventListener("pointermove", function (e) {
      var box = svg.getBoundingClientRect(), r = range(svg);
      var share = ((e.clientX - box.left) / box.width * FULL - LEFT) / WIDTH;
      show(svg, Math.floor(r[0] + share * (r[1] - r[0])), e.clientX, e.clientY);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", function (e) {
      var step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
      if (!step) { if (e.key === "Escape") hide(); return; }
      e.preventDefault();
      var box = svg.getBoundingClientRect(), r = range(svg);
      var now = svg.dataset.at === undefined ? r[0] : +svg.dataset.at;
      show(svg, now + step * (e.shiftKey ? 10 : 1), box.left + box.width / 2, box.top + 40);
    });
  });
})();
