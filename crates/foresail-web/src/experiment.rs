//! The picture of one run of an experiment: CPU above, replicas below, stress behind both.

use crate::figure::Figure;
use crate::page::axis::Axis;
use crate::page::chart::{Anchor, Drawing, Rectangle, colour, stepped};

const GREY: &str = "#6e7781";

/// What is drawn, row by row; what is not known is `None` and interrupts its line.
#[derive(Clone, Debug, Default)]
pub struct Lanes {
    /// Minutes from the begin, rising.
    pub minutes: Vec<f64>,
    /// CPU of a pod in percent of its request.
    pub cpu_percent: Vec<Option<f64>>,
    /// What is aimed at.
    pub target_percent: Option<f64>,
    /// Replicas.
    pub current: Vec<f64>,
    /// What the HPA asks for.
    pub hpa: Vec<Option<f64>>,
    /// What the adviser recommends.
    pub advised: Vec<Option<f64>>,
    /// Begins and ends of busy loops, in minutes.
    pub cpu_stress: Vec<(f64, f64)>,
    /// Begins and ends of filled memory, in minutes.
    pub memory_stress: Vec<(f64, f64)>,
}

/// The picture.
#[must_use]
pub fn lanes(name: &str, title: &str, caption: &str, lanes: &Lanes) -> Figure {
    let mut drawing = Drawing::new(980.0, 520.0);
    let panel = |y: f64, height: f64| Rectangle {
        x: 70.0,
        y,
        width: 880.0,
        height,
    };
    let (above, below) = (panel(60.0, 170.0), panel(300.0, 160.0));
    let end = lanes.minutes.last().copied().unwrap_or(0.0);
    let end = if end > 0.0 { end } else { 1.0 };
    let x = Axis::exact(0.0, end, above.x, above.x + above.width);
    for area in [above, below] {
        draw_stress(&mut drawing, lanes, area, &x, end);
    }
    let target = lanes.target_percent;
    let seen = lanes.cpu_percent.iter().flatten().copied();
    let y = Axis::linear(
        seen.chain(target).chain([0.0]),
        above.y + above.height,
        above.y,
    );
    drawing.frame(&x, &y, above, ("", "CPU, % of request"));
    draw_line(
        &mut drawing,
        lanes,
        &lanes.cpu_percent,
        (&x, &y),
        (colour(1), 1.6, ""),
    );
    if let Some(target) = target {
        let at = y.place(target);
        drawing.path(
            &[(above.x, at), (above.x + above.width, at)],
            GREY,
            1.0,
            "4 3",
        );
    }
    let wished = lanes.hpa.iter().chain(&lanes.advised).flatten();
    let all = lanes.current.iter().chain(wished).copied();
    let y = Axis::linear(all.chain([0.0]), below.y + below.height, below.y);
    drawing.frame(&x, &y, below, ("minutes", "replicas"));
    draw_line(
        &mut drawing,
        lanes,
        &lanes.hpa,
        (&x, &y),
        (GREY, 1.4, "5 3"),
    );
    draw_line(
        &mut drawing,
        lanes,
        &lanes.advised,
        (&x, &y),
        (colour(4), 1.2, "2 2"),
    );
    let current: Vec<Option<f64>> = lanes.current.iter().copied().map(Some).collect();
    draw_line(
        &mut drawing,
        lanes,
        &current,
        (&x, &y),
        (colour(0), 2.2, ""),
    );
    let mut at = 70.0;
    for (stroke, text) in [
        (colour(1), "CPU of a pod"),
        (colour(0), "replicas"),
        (GREY, "the HPA asks for"),
        (colour(4), "the adviser recommends"),
    ] {
        drawing.path(&[(at, 22.0), (at + 26.0, 22.0)], stroke, 3.0, "");
        drawing.text(at + 32.0, 26.0, 13.0, Anchor::Start, "name", text);
        at += 60.0 + 8.0 * text.chars().count() as f64;
    }
    Figure {
        name: name.to_owned(),
        title: title.to_owned(),
        caption: caption.to_owned(),
        drawing,
    }
}

fn draw_stress(drawing: &mut Drawing, lanes: &Lanes, area: Rectangle, x: &Axis, end: f64) {
    let kinds = [
        (&lanes.cpu_stress, 0.30, "busy loops"),
        (&lanes.memory_stress, 0.15, "filled memory"),
    ];
    for (windows, opacity, title) in kinds {
        for (from, to) in windows {
            let to = if *to < end { *to } else { end };
            if *from >= to {
                continue;
            }
            let place = Rectangle {
                x: x.place(*from),
                width: x.place(to) - x.place(*from),
                ..area
            };
            drawing.band(place, GREY, opacity, title);
        }
    }
}

/// A line in steps, broken where nothing is known.
fn draw_line(
    drawing: &mut Drawing,
    lanes: &Lanes,
    values: &[Option<f64>],
    (x, y): (&Axis, &Axis),
    (stroke, width, dash): (&str, f64, &str),
) {
    let mut piece: Vec<(f64, f64)> = Vec::new();
    for (minute, value) in lanes.minutes.iter().zip(values) {
        match value {
            Some(value) => piece.push((x.place(*minute), y.place(*value))),
            None => {
                drawing.path(&stepped(&piece), stroke, width, dash);
                piece.clear();
            }
        }
    }
    drawing.path(&stepped(&piece), stroke, width, dash);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_where_nothing_is_known() {
        let lanes = |hpa: Vec<Option<f64>>| Lanes {
            minutes: vec![0.0, 1.0, 2.0, 3.0, 4.0],
            cpu_percent: vec![None; 5],
            current: vec![1.0; 5],
            hpa,
            advised: vec![None; 5],
            ..Lanes::default()
        };
        let dashed = |l: &Lanes| {
            let svg = super::lanes("n", "t", "c", l).drawing.standalone("t");
            svg.matches("5 3").count()
        };
        assert_eq!(dashed(&lanes(vec![Some(1.0); 5])), 1);
        let broken = vec![Some(1.0), Some(2.0), None, Some(1.0), Some(1.0)];
        assert_eq!(dashed(&lanes(broken)), 2);
        assert_eq!(dashed(&Lanes::default()), 0, "nothing is drawn of nothing");
    }
}
