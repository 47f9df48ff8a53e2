//! A forecast as a fan: what was, the median of what may come, and its bands.

use foresail_core::quantity::time::{Span, Timestamp};

use crate::page::axis::Axis;
use crate::page::chart::{Anchor, Drawing, Rectangle};
use crate::page::text::short;
use crate::page::time;

/// Colour of what was and of what came.
const MEASURED: &str = "#24292f";

/// Colour of the median.
const MEDIAN: &str = "#0072B2";

/// Colours of the bands, the outermost first; light enough that the grid's texts stay legible.
const BANDS: [&str; 4] = ["#deebf7", "#c6dbef", "#9ecae1", "#6baed6"];

/// A forecast and what is known around it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fan {
    /// What is forecast and by what, in a line.
    pub title: String,
    /// What the values are, with their unit.
    pub unit: String,
    /// Time of the first step of `past`; of the first forecast step where `past` is empty.
    pub start: Timestamp,
    /// Length of a step.
    pub step: Span,
    /// What was measured before the forecast; `None` is a gap.
    pub past: Vec<Option<f64>>,
    /// Levels of the quantiles, rising.
    pub levels: Vec<f64>,
    /// Quantiles at these levels, step by step.
    pub quantiles: Vec<Vec<f64>>,
    /// What came after, where it is known; `None` is a gap.
    pub truth: Vec<Option<f64>>,
}

impl Fan {
    /// Places in the levels of the two edges of each band, the outermost first.
    #[must_use]
    pub fn bands(&self) -> Vec<(usize, usize)> {
        let pair = |low: usize| {
            let want = 1.0 - self.levels[low];
            let high = self.levels.iter().position(|l| (l - want).abs() < 1e-9)?;
            (high > low).then_some((low, high))
        };
        (0..self.levels.len()).filter_map(pair).collect()
    }

    /// The place of the median in the levels.
    #[must_use]
    pub fn median(&self) -> Option<usize> {
        self.levels.iter().position(|l| (l - 0.5).abs() < 1e-9)
    }

    /// Name of a band: the share of futures that it holds.
    #[must_use]
    pub fn band_name(&self, (low, high): (usize, usize)) -> String {
        let percent = (self.levels[high] - self.levels[low]) * 100.0;
        format!("{} % band", short((percent * 10.0).round() / 10.0))
    }

    /// The quantile at one place of the levels, step by step.
    #[must_use]
    pub fn at(&self, place: usize) -> Vec<Option<f64>> {
        let value = |step: &Vec<f64>| step.get(place).copied();
        self.quantiles.iter().map(value).collect()
    }

    /// Steps of the whole drawing.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.past.len() + self.quantiles.len().max(self.truth.len())
    }

    /// The highest value that an axis must hold: all that was measured and the bands, but a band so
    /// wide that it would flatten all else is cut by the drawing's edge.
    #[must_use]
    pub fn height(&self) -> f64 {
        let measured = self.past.iter().chain(&self.truth).flatten();
        let most = |values: &mut dyn Iterator<Item = f64>| {
            values.fold(0.0, |a, b| if b > a { b } else { a })
        };
        let inner = self.bands().get(1).or(self.bands().first()).copied();
        let inner = inner.map_or(Vec::new(), |(_, high)| self.at(high));
        let seen = most(&mut measured.copied().chain(inner.into_iter().flatten()));
        let outer = most(&mut self.quantiles.iter().flatten().copied());
        let limit = 2.0 * seen;
        if outer > limit && limit > 0.0 {
            limit
        } else {
            outer.max(seen)
        }
    }
}

/// Draws a fan.
#[must_use]
pub fn draw(fan: &Fan) -> Drawing {
    let mut drawing = Drawing::new(860.0, 420.0);
    let area = Rectangle {
        x: 66.0,
        y: 62.0,
        width: 774.0,
        height: 276.0,
    };
    let x = Axis::exact(0.0, fan.steps() as f64, area.x, area.x + area.width);
    let y = Axis::linear(
        [0.0, fan.height()].into_iter(),
        area.y + area.height,
        area.y,
    );
    let title = fit_text(&fan.title, 96);
    drawing.text(area.x, 22.0, 14.0, Anchor::Start, "strong", &title);
    let pen = Pen {
        fan,
        x: &x,
        y: &y,
        area,
    };
    pen.bands(&mut drawing);
    pen.frame(&mut drawing);
    let first = fan.past.len();
    pen.line(&mut drawing, 0, &fan.past, (MEASURED, 1.3, ""));
    if let Some(median) = fan.median() {
        pen.line(&mut drawing, first, &fan.at(median), (MEDIAN, 2.2, ""));
    }
    pen.line(&mut drawing, first, &fan.truth, (MEASURED, 1.3, "4 2"));
    pen.legend(&mut drawing);
    drawing
}

/// A text cut to so many characters, the cut marked.
fn fit_text(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let cut: String = text.chars().take(most - 1).collect();
    format!("{cut}…")
}

/// What every part of the drawing needs.
struct Pen<'a> {
    fan: &'a Fan,
    x: &'a Axis,
    y: &'a Axis,
    area: Rectangle,
}

impl Pen<'_> {
    fn place(&self, step: usize, value: f64) -> (f64, f64) {
        (self.x.place(step as f64 + 0.5), self.y.place(value))
    }

    fn bands(&self, drawing: &mut Drawing) {
        let first = self.fan.past.len();
        for (band, fill) in self.fan.bands().into_iter().zip(BANDS) {
            let edge = |place: usize| -> Vec<(f64, f64)> {
                let values = self.fan.quantiles.iter().map(|q| q[place]);
                let at = |(i, v): (usize, f64)| self.place(first + i, v);
                let mut points: Vec<(f64, f64)> = values.enumerate().map(at).collect();
                // One step alone is as wide as a step.
                if let [(at, value)] = points[..] {
                    let half = self.place(1, 0.0).0 - self.place(0, 0.0).0;
                    points = vec![(at - half / 2.0, value), (at + half / 2.0, value)];
                }
                points
            };
            drawing.between(&edge(band.1), &edge(band.0), fill);
        }
    }

    /// A line that ends at a gap and begins anew after it.
    fn line(
        &self,
        drawing: &mut Drawing,
        first: usize,
        values: &[Option<f64>],
        (stroke, width, dash): (&str, f64, &str),
    ) {
        let mut points: Vec<(f64, f64)> = Vec::new();
        let mut end = |points: &mut Vec<(f64, f64)>| {
            match points[..] {
                [] => {}
                [at] => drawing.dot(at, 1.8, stroke, 1.0, ""),
                _ => drawing.path(points, stroke, width, dash),
            }
            points.clear();
        };
        for (i, value) in values.iter().enumerate() {
            match value {
                Some(value) => points.push(self.place(first + i, *value)),
                None => end(&mut points),
            }
        }
        end(&mut points);
    }

    fn frame(&self, drawing: &mut Drawing) {
        let area = self.area;
        let (bottom, right) = (area.y + area.height, area.x + area.width);
        for (value, text) in self.y.ticks() {
            let at = self.y.place(value);
            drawing.line((area.x, at), (right, at), "grid");
            drawing.text(area.x - 8.0, at + 4.0, 12.0, Anchor::End, "tick", &text);
        }
        let fan = self.fan;
        let begin = fan.start.seconds_floor();
        let step = fan.step.seconds();
        let length = (fan.steps() as f64 * step) as i64;
        for (at, text) in time::ticks(begin, length, 9) {
            let place = self.x.place((at - begin) as f64 / step);
            drawing.line((place, bottom), (place, bottom + 4.0), "axis");
            drawing.text(place, bottom + 18.0, 12.0, Anchor::Middle, "tick", &text);
        }
        drawing.line((area.x, bottom), (right, bottom), "axis");
        let days = [fan.start, fan.start + Span::from_seconds(length)].map(|t| t.to_string());
        let [from, to] = days.each_ref().map(|t| t.get(..10).unwrap_or_default());
        let name = if from == to {
            format!("time of {from} (UTC)")
        } else {
            format!("time from {from} to {to} (UTC)")
        };
        let middle = area.x + area.width / 2.0;
        drawing.text(middle, bottom + 38.0, 13.0, Anchor::Middle, "name", &name);
        drawing.text(
            area.x,
            area.y - 12.0,
            13.0,
            Anchor::Start,
            "name",
            &fan.unit,
        );
        if !fan.past.is_empty() {
            let now = self.x.place(fan.past.len() as f64);
            drawing.path(&[(now, area.y), (now, bottom)], "#8c959f", 1.0, "2 3");
        }
    }

    fn legend(&self, drawing: &mut Drawing) {
        let y = self.area.y + self.area.height + 66.0;
        let mut at = self.area.x;
        let mut entry = |drawing: &mut Drawing, text: &str| {
            drawing.text(at + 28.0, y, 12.0, Anchor::Start, "tick", text);
            let from = at;
            at += 46.0 + text.chars().count() as f64 * 7.2;
            from
        };
        let mark = y - 4.0;
        if !self.fan.past.is_empty() {
            let x = entry(drawing, "measured");
            drawing.path(&[(x, mark), (x + 22.0, mark)], MEASURED, 1.3, "");
        }
        if self.fan.truth.iter().any(Option::is_some) {
            let x = entry(drawing, "what came");
            drawing.path(&[(x, mark), (x + 22.0, mark)], MEASURED, 1.3, "4 2");
        }
        if self.fan.median().is_some() {
            let x = entry(drawing, "median");
            drawing.path(&[(x, mark), (x + 22.0, mark)], MEDIAN, 2.2, "");
        }
        for (band, fill) in self.fan.bands().into_iter().zip(BANDS).rev() {
            let x = entry(drawing, &self.fan.band_name(band));
            drawing.area(&[(x, y - 9.0), (x + 22.0, y - 9.0)], y, fill, 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fan() -> Fan {
        Fan {
            title: "web by auto".to_owned(),
            unit: "demand per step of 60s".to_owned(),
            start: Timestamp::from_seconds(1_769_890_200),
            step: Span::from_seconds(60),
            past: vec![Some(1.0), None, Some(3.0), Some(4.0)],
            levels: vec![0.1, 0.5, 0.9],
            quantiles: vec![vec![2.0, 4.0, 6.0], vec![1.0, 4.0, 7.0]],
            truth: vec![Some(5.0), None],
        }
    }

    #[test]
    fn a_band_is_two_levels_as_far_from_the_middle() {
        let fan = fan();
        assert_eq!(fan.bands(), [(0, 2)]);
        assert_eq!(fan.band_name((0, 2)), "80 % band");
        assert_eq!(fan.median(), Some(1));
    }

    #[test]
    fn a_gap_breaks_the_line_and_nothing_odd_is_drawn() {
        let svg = draw(&fan()).standalone("fan");
        assert_eq!(svg.matches("<circle").count(), 2, "{svg}");
        assert!(
            svg.contains("80 % band") && svg.contains("what came"),
            "{svg}"
        );
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        let bare = Fan {
            past: Vec::new(),
            truth: Vec::new(),
            quantiles: vec![vec![0.0; 3]],
            ..fan()
        };
        assert!(!draw(&bare).standalone("fan").contains("NaN"));
    }
}
