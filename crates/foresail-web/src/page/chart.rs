//! SVG from numbers: frames, lines, areas, points with labels.

use std::fmt::Write;

use super::axis::Axis;
use super::text::escape;

/// Colours that people with any colour vision tell apart.
/// Source: Okabe & Ito, "Color Universal Design", 2008.
pub const COLOURS: [&str; 7] = [
    "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1",
];

/// The colour of the n-th policy.
#[must_use]
pub fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

/// Mean width of a character as a share of the font's size.
const CHARACTER: f64 = 0.58;

/// A drawing in the making.
#[derive(Clone, Debug)]
pub struct Drawing {
    width: f64,
    height: f64,
    body: String,
    taken: Vec<Rectangle>,
    /// Where labels may stand.
    room: Rectangle,
}

/// A place that a label or a point covers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rectangle {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Rectangle {
    /// `true` where two rectangles share a point.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.x < other.x + other.width
            && other.x < self.x + self.width
            && self.y < other.y + other.height
            && other.y < self.y + self.height
    }
}

/// Where a text is anchored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// At its begin.
    Start,
    /// In its middle.
    Middle,
    /// At its end.
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

impl Drawing {
    /// An empty drawing of this size in pixels.
    #[must_use]
    pub fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
            taken: Vec::new(),
            room: Rectangle {
                x: 4.0,
                y: 4.0,
                width: width - 8.0,
                height: height - 8.0,
            },
        }
    }

    /// Keeps labels within a part of the drawing.
    pub fn keep_labels_within(&mut self, room: Rectangle) {
        self.room = room;
    }

    /// Keeps labels off a point that is drawn later.
    pub fn reserve(&mut self, at: (f64, f64), radius: f64) {
        let (x, y, side) = (at.0 - radius, at.1 - radius, 2.0 * radius);
        self.taken.push(Rectangle {
            x,
            y,
            width: side,
            height: side,
        });
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    /// Draws a text.
    pub fn text(&mut self, x: f64, y: f64, size: f64, anchor: Anchor, class: &str, text: &str) {
        let (anchor, text) = (anchor.name(), escape(text));
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// Draws a straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    /// Draws a line through points; what is not finite is left out.
    pub fn path(&mut self, points: &[(f64, f64)], stroke: &str, width: f64, dash: &str) {
        let d = path_of(points);
        if !d.is_empty() {
            self.add(format_args!(
                "<path d=\"{d}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\" stroke-linejoin=\"round\" stroke-dasharray=\"{dash}\"/>"
            ));
        }
    }

    /// Fills the area between points and a base line.
    pub fn area(&mut self, points: &[(f64, f64)], base: f64, fill: &str, opacity: f64) {
        let d = path_of(points);
        if let (Some(first), Some(last), false) = (points.first(), points.last(), d.is_empty()) {
            let (x1, x2) = (first.0, last.0);
            self.add(format_args!(
                "<path d=\"{d} L{x2:.1} {base:.1} L{x1:.1} {base:.1} Z\" fill=\"{fill}\" fill-opacity=\"{opacity}\" stroke=\"none\"/>"
            ));
        }
    }

    /// Fills a rectangle, with a hover text.
    pub fn band(&mut self, place: Rectangle, fill: &str, opacity: f64, title: &str) {
        let Rectangle {
            x,
            y,
            width,
            height,
        } = place;
        let title = escape(title);
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\" fill-opacity=\"{opacity:.2}\"><title>{title}</title></rect>"
        ));
    }

    /// Fills what lies between two lines of as many points each.
    pub fn between(&mut self, upper: &[(f64, f64)], lower: &[(f64, f64)], fill: &str) {
        let back = lower.iter().rev().copied();
        let edge: Vec<(f64, f64)> = upper.iter().copied().chain(back).collect();
        let d = path_of(&edge);
        if !d.is_empty() {
            self.add(format_args!(
                "<path d=\"{d} Z\" fill=\"{fill}\" stroke=\"none\"/>"
            ));
        }
    }

    /// Draws a point with a hover text.
    pub fn dot(&mut self, at: (f64, f64), radius: f64, fill: &str, opacity: f64, title: &str) {
        let ((x, y), title) = (at, escape(title));
        self.add(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{fill}\" fill-opacity=\"{opacity}\"><title>{title}</title></circle>"
        ));
        self.taken.push(Rectangle {
            x: x - radius,
            y: y - radius,
            width: 2.0 * radius,
            height: 2.0 * radius,
        });
    }

    /// Draws a line through points in the manner of its class; what is not finite is left out.
    pub fn curve(&mut self, points: &[(f64, f64)], class: &str) {
        let d = path_of(points);
        if !d.is_empty() {
            self.add(format_args!("<path class=\"{class}\" d=\"{d}\"/>"));
        }
    }

    /// Fills what lies between two lines in the manner of its class.
    pub fn fill_between(&mut self, upper: &[(f64, f64)], lower: &[(f64, f64)], class: &str) {
        let back = lower.iter().rev().copied();
        let edge: Vec<(f64, f64)> = upper.iter().copied().chain(back).collect();
        let d = path_of(&edge);
        if !d.is_empty() {
            self.add(format_args!("<path class=\"{class}\" d=\"{d} Z\"/>"));
        }
    }

    /// Fills a rectangle in the manner of its class, with a hover text.
    pub fn shade(&mut self, place: Rectangle, class: &str, title: &str) {
        let Rectangle {
            x,
            y,
            width,
            height,
        } = place;
        let title = escape(title);
        self.add(format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{title}</title></rect>"
        ));
    }

    /// Draws a point in the manner of its class, with a hover text.
    pub fn point(&mut self, at: (f64, f64), radius: f64, class: &str, title: &str) {
        let ((x, y), title) = (at, escape(title));
        self.add(format_args!(
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"><title>{title}</title></circle>"
        ));
    }

    /// Draws a triangle that points up or down, leads to `href`, and has a hover text.
    pub fn link(&mut self, at: (f64, f64), up: bool, class: &str, href: &str, title: &str) {
        let ((x, y), side) = (at, if up { -5.0 } else { 5.0 });
        let (left, right, base, tip) = (x - 5.0, x + 5.0, y - side, y + side);
        let (href, title) = (escape(href), escape(title));
        self.add(format_args!(
            "<a href=\"{href}\"><path class=\"{class}\" d=\"M{left:.1} {base:.1}L{right:.1} {base:.1}L{x:.1} {tip:.1}Z\"><title>{title}</title></path></a>"
        ));
    }

    /// Writes a label beside a point where nothing else stands; returns the place it took.
    pub fn label(&mut self, at: (f64, f64), size: f64, class: &str, text: &str) -> Rectangle {
        let place = self.label_place(at, size, text);
        self.text(place.x, place.y + size, size, Anchor::Start, class, text);
        place
    }

    /// Writes a label in its point's own colour, and a thin line to the point where it stands off.
    pub fn coloured_label(&mut self, at: (f64, f64), size: f64, fill: &str, text: &str) {
        let place = self.label_place(at, size, text);
        let (x, y, escaped) = (place.x, place.y + size, escape(text));
        let middle = (place.x + place.width / 2.0, place.y + place.height / 2.0);
        let off = (middle.1 - at.1).abs() > size * 1.5;
        if off {
            let near = if middle.1 < at.1 {
                place.y + place.height
            } else {
                place.y
            };
            self.path(&[at, (middle.0, near)], fill, 1.0, "");
        }
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" font-weight=\"bold\" fill=\"{fill}\">{escaped}</text>"
        ));
    }

    /// Finds and takes the place of a label.
    fn label_place(&mut self, at: (f64, f64), size: f64, text: &str) -> Rectangle {
        let (width, height) = (text.chars().count() as f64 * size * CHARACTER, size * 1.2);
        let gap = 9.0;
        let candidates = label_places(at, width, height, gap);
        let free = |r: &&Rectangle| {
            let room = &self.room;
            let inside = r.x >= room.x
                && r.x + r.width <= room.x + room.width
                && r.y >= room.y
                && r.y + r.height <= room.y + room.height;
            inside && self.taken.iter().all(|t| !t.overlaps(r))
        };
        let place = candidates.iter().find(free).or(candidates.first()).copied();
        let place = place.unwrap_or(Rectangle {
            x: at.0,
            y: at.1,
            width,
            height,
        });
        self.taken.push(place);
        place
    }

    /// Draws both axes with their ticks, grid and names.
    pub fn frame(&mut self, x: &Axis, y: &Axis, area: Rectangle, names: (&str, &str)) {
        for (value, text) in y.ticks() {
            let at = y.place(value);
            self.line((area.x, at), (area.x + area.width, at), "grid");
            self.text(area.x - 8.0, at + 4.0, 12.0, Anchor::End, "tick", &text);
        }
        let bottom = area.y + area.height;
        for (value, text) in x.ticks() {
            let at = x.place(value);
            self.line((at, bottom), (at, bottom + 4.0), "axis");
            self.text(at, bottom + 18.0, 12.0, Anchor::Middle, "tick", &text);
        }
        self.line((area.x, bottom), (area.x + area.width, bottom), "axis");
        self.text(
            area.x + area.width / 2.0,
            bottom + 38.0,
            13.0,
            Anchor::Middle,
            "name",
            names.0,
        );
        self.text(area.x, area.y - 10.0, 13.0, Anchor::Start, "name", names.1);
    }

    /// The drawing as an SVG element that takes its colours from the page around it.
    #[must_use]
    pub fn inline(&self, label: &str, attributes: &str) -> String {
        let Self {
            width,
            height,
            body,
            ..
        } = self;
        let label = escape(label);
        format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\" {attributes}><title>{label}</title>\n{body}</svg>\n"
        )
    }

    /// The drawing as a file of its own, light where nothing else is asked for.
    #[must_use]
    pub fn standalone(&self, label: &str) -> String {
        self.standalone_with(label, "")
    }

    /// The drawing as a file of its own, with the manners of its classes.
    #[must_use]
    pub fn standalone_with(&self, label: &str, style: &str) -> String {
        let Self {
            width,
            height,
            body,
            ..
        } = self;
        let label = escape(label);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{label}\" font-family=\"DejaVu Sans, Verdana, sans-serif\">\n<title>{label}</title>\n<style>{STYLE}{style}</style>\n<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n{body}</svg>\n"
        )
    }
}

/// Colours of a drawing that stands alone.
const STYLE: &str = ".paper{fill:#ffffff}.tick{fill:#57606a}.name{fill:#24292f}.strong{fill:#24292f;font-weight:bold}\
.grid{stroke:#d8dee4;stroke-width:1}.axis{stroke:#8c959f;stroke-width:1}";

fn path_of(points: &[(f64, f64)]) -> String {
    let mut d = String::new();
    for (x, y) in points
        .iter()
        .filter(|(x, y)| x.is_finite() && y.is_finite())
    {
        let command = if d.is_empty() { 'M' } else { 'L' };
        let _ = write!(d, "{command}{x:.1} {y:.1}");
    }
    d
}

/// Places for a label, the best first: right, left, above, below, then further off.
fn label_places(at: (f64, f64), width: f64, height: f64, gap: f64) -> Vec<Rectangle> {
    let (x, y) = at;
    let mut places = Vec::new();
    for ring in 0..6 {
        let far = gap + f64::from(ring) * height;
        let shift = f64::from(ring) * height;
        for (x, y) in [
            (x + gap, y - height / 2.0 - shift),
            (x + gap, y - height / 2.0 + shift),
            (x - gap - width, y - height / 2.0 - shift),
            (x - gap - width, y - height / 2.0 + shift),
            (x - width / 2.0, y - far - height),
            (x - width / 2.0, y + far),
        ] {
            places.push(Rectangle {
                x,
                y,
                width,
                height,
            });
        }
    }
    places
}

/// Points as a line of steps: a value holds until the next one.
#[must_use]
pub fn stepped(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut steps = Vec::with_capacity(points.len() * 2);
    for pair in points.windows(2) {
        steps.push(pair[0]);
        steps.push((pair[1].0, pair[0].1));
    }
    steps.extend(points.last());
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_points_that_crowd_do_not_overlap() {
        let mut drawing = Drawing::new(800.0, 400.0);
        let points: Vec<_> = (0..6)
            .map(|i| (400.0 + f64::from(i) * 4.0, 200.0 + f64::from(i % 2) * 3.0))
            .collect();
        for at in &points {
            drawing.dot(*at, 6.0, "#000000", 1.0, "");
        }
        let places: Vec<_> = points
            .iter()
            .map(|at| drawing.label(*at, 13.0, "name", "predictive-hpa"))
            .collect();
        for (i, a) in places.iter().enumerate() {
            for b in &places[i + 1..] {
                assert!(!a.overlaps(b), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_not_drawn() {
        let mut drawing = Drawing::new(10.0, 10.0);
        drawing.path(
            &[(0.0, f64::NAN), (1.0, 2.0), (f64::INFINITY, 1.0)],
            "#000",
            1.0,
            "",
        );
        let svg = drawing.standalone("x < y");
        assert!(
            !svg.contains("NaN") && !svg.contains("inf") && svg.contains("x &lt; y"),
            "{svg}"
        );
    }
}
