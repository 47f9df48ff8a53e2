//! The figures of a study: forecasts over demand, and policies by cost and violations.

use crate::figure::Figure;
use crate::page::axis::Axis;
use crate::page::chart::{Anchor, Drawing, Rectangle, colour};
use crate::page::text::number;

/// Bars of one figure of several things.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What they show.
    pub title: String,
    /// Digits after the point.
    pub digits: usize,
    /// Names and values, in the order of the picture.
    pub bars: Vec<(String, f64)>,
}

/// Demand of the test and what a model told about it.
#[derive(Clone, Copy, Debug)]
pub struct ForecastLines<'a> {
    /// What came, minute by minute.
    pub demand: &'a [f64],
    /// What was told.
    pub middle: &'a [f64],
    /// The upper end of the band.
    pub upper: &'a [f64],
    /// The minute at which the closer look begins.
    pub closer: usize,
    /// What the three are, as the legend has it.
    pub names: [&'a str; 3],
    /// What the days and hours are of.
    pub time: &'a str,
}

/// Minutes of the closer look.
const CLOSER: usize = 360;

const GREY: &str = "#6e7781";

/// Demand against forecast: the whole test above, some hours below.
#[must_use]
pub fn forecast(name: &str, title: &str, caption: &str, lines: ForecastLines<'_>) -> Figure {
    let mut drawing = Drawing::new(980.0, 640.0);
    let panel = |y: f64| Rectangle {
        x: 70.0,
        y,
        width: 880.0,
        height: 220.0,
    };
    let end = (lines.closer + CLOSER).min(lines.demand.len());
    draw_lines(
        &mut drawing,
        panel(60.0),
        lines,
        0..lines.demand.len(),
        1440.0,
        &format!("day of {}", lines.time),
    );
    draw_lines(
        &mut drawing,
        panel(370.0),
        lines,
        lines.closer..end,
        60.0,
        &format!("hour of {}", lines.time),
    );
    legend(
        &mut drawing,
        &[
            (GREY, lines.names[0]),
            (colour(1), lines.names[1]),
            (colour(4), lines.names[2]),
        ],
    );
    Figure {
        name: name.to_owned(),
        title: title.to_owned(),
        caption: caption.to_owned(),
        drawing,
    }
}

fn legend(drawing: &mut Drawing, entries: &[(&str, &str)]) {
    let mut x = 70.0;
    for (stroke, text) in entries {
        drawing.path(&[(x, 22.0), (x + 26.0, 22.0)], stroke, 3.0, "");
        drawing.text(x + 32.0, 26.0, 13.0, Anchor::Start, "name", text);
        x += 60.0 + 8.0 * text.chars().count() as f64;
    }
}

/// The least value that a quarter of the band's height may hide.
fn draw_lines(
    drawing: &mut Drawing,
    area: Rectangle,
    lines: ForecastLines<'_>,
    minutes: std::ops::Range<usize>,
    unit: f64,
    name: &str,
) {
    let shown = &lines.demand[minutes.clone()];
    let told = &lines.middle[minutes.clone()];
    let highest = |values: &[f64]| {
        values
            .iter()
            .copied()
            .fold(0.0, |a: f64, b| if b > a { b } else { a })
    };
    // A band that leaves every demand far below is cut, or nothing else would be seen.
    let (need, band) = (
        highest(shown).max(highest(told)),
        highest(&lines.upper[minutes.clone()]),
    );
    let top = if band > 2.0 * need {
        2.0 * need
    } else {
        band.max(need)
    };
    let (from, to) = (minutes.start as f64 / unit, minutes.end as f64 / unit);
    let x = Axis::exact(from, to, area.x, area.x + area.width);
    let y = Axis::linear([0.0, top].into_iter(), area.y + area.height, area.y);
    drawing.frame(&x, &y, area, (name, "requests per minute"));
    let columns = area.width as usize;
    let place = |minute: f64, value: f64| (x.place(minute / unit), y.place(value));
    let line =
        |values: &[f64], highest: bool| thinned(values, minutes.start, columns, highest, &place);
    drawing.path(&line(&lines.demand[minutes.clone()], true), GREY, 1.0, "");
    drawing.path(
        &line(&lines.upper[minutes.clone()], true),
        colour(4),
        1.2,
        "",
    );
    drawing.path(
        &line(&lines.middle[minutes.clone()], false),
        colour(1),
        1.6,
        "",
    );
}

/// Points of a line at most two to a pixel: of the values of a pixel the highest, or their mean.
fn thinned(
    values: &[f64],
    first: usize,
    columns: usize,
    highest: bool,
    place: &dyn Fn(f64, f64) -> (f64, f64),
) -> Vec<(f64, f64)> {
    let chunk = values.len().div_ceil(columns.max(1)).max(1);
    let of = |(i, values): (usize, &[f64])| {
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        place(
            (first + i * chunk) as f64,
            if highest { most } else { mean },
        )
    };
    values.chunks(chunk).enumerate().map(of).collect()
}

/// One policy as a bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// What it costs.
    pub cost: f64,
    /// What it violates.
    pub violations: f64,
    /// How often it changes.
    pub changes: f64,
}

/// Cost, violations and changes of each policy, side by side.
#[must_use]
pub fn policies(name: &str, title: &str, caption: &str, bars: &[Bar]) -> Figure {
    let panel = |(title, value): (&str, fn(&Bar) -> f64)| Panel {
        title: title.to_owned(),
        digits: 0,
        bars: bars.iter().map(|b| (b.name.clone(), value(b))).collect(),
    };
    let measures: [(&str, fn(&Bar) -> f64); 3] = [
        ("container-minutes", |b| b.cost),
        ("violating minutes", |b| b.violations),
        ("changes", |b| b.changes),
    ];
    panels((name, title, caption), &measures.map(panel))
}

/// The same things by several figures, side by side; names stand at the first.
///
/// `texts` are the figure's name, title and caption.
#[must_use]
pub fn panels(texts: (&str, &str, &str), panels: &[Panel]) -> Figure {
    let mut drawing = Drawing::new(980.0, 400.0);
    let names = panels.iter().flat_map(|p| &p.bars);
    let longest = names.map(|(name, _)| name.chars().count()).max();
    let left = 20.0 + 8.0 * longest.unwrap_or(0) as f64;
    let slot = (980.0 - left) / panels.len().max(1) as f64;
    for (i, panel) in panels.iter().enumerate() {
        let area = Rectangle {
            x: left + slot * i as f64,
            y: 50.0,
            width: 0.8 * slot,
            height: 300.0,
        };
        draw_bars(&mut drawing, area, panel, i == 0);
    }
    let (name, title, caption) = texts;
    Figure {
        name: name.to_owned(),
        title: title.to_owned(),
        caption: caption.to_owned(),
        drawing,
    }
}

fn draw_bars(drawing: &mut Drawing, area: Rectangle, panel: &Panel, named: bool) {
    let values = panel.bars.iter().map(|(_, value)| *value);
    let most = values.fold(f64::MIN_POSITIVE, |a, b| if b > a { b } else { a });
    let slot = area.height / panel.bars.len().max(1) as f64;
    drawing.text(
        area.x,
        area.y - 14.0,
        14.0,
        Anchor::Start,
        "strong",
        &panel.title,
    );
    drawing.line((area.x, area.y), (area.x, area.y + area.height), "axis");
    for (i, (name, value)) in panel.bars.iter().enumerate() {
        let top = area.y + slot * i as f64 + 0.2 * slot;
        let height = 0.6 * slot;
        // The longest bar leaves room for its number.
        let length = 0.75 * area.width * value / most;
        let edge = [(area.x, top), (area.x + length, top)];
        drawing.area(&edge, top + height, colour(i), 0.85);
        let middle = top + 0.5 * height + 5.0;
        let shown = number(*value, panel.digits);
        drawing.text(
            area.x + length + 6.0,
            middle,
            13.0,
            Anchor::Start,
            "name",
            &shown,
        );
        if named {
            drawing.text(area.x - 8.0, middle, 13.0, Anchor::End, "name", name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_of_one_minute_stays_in_a_line_of_few_points() {
        let mut values = vec![1.0; 10_000];
        values[4321] = 50.0;
        let points = thinned(&values, 0, 500, true, &|x, y| (x, y));
        assert!(points.len() <= 500);
        assert!(points.iter().any(|p| p.1 > 49.0));
    }

    #[test]
    fn every_bar_is_named_and_numbered() {
        let bar = |name: &str, cost| Bar {
            name: name.to_owned(),
            cost,
            violations: 0.0,
            changes: 3.0,
        };
        let figure = policies(
            "p",
            "t",
            "c",
            &[bar("Static-2", 20_160.0), bar("Buffered", 0.0)],
        );
        let svg = figure.drawing.standalone("t");
        assert!(
            svg.contains("Static-2") && svg.contains("20\u{202f}160"),
            "{svg}"
        );
        assert!(!svg.contains("NaN"));
    }
}
