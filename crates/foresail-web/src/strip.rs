//! Archetypes over time as a coloured band, for policies that tell them.

use crate::page::axis::Axis;
use crate::page::chart::{Anchor, Drawing, Rectangle};
use crate::read_model::ArchetypeRun;

/// Height of the band and its legend together, in pixels.
pub(crate) const HEIGHT: f64 = 58.0;

/// Height of the band.
const BAND: f64 = 18.0;

/// Width from which on a stretch carries its name.
const NAMED: f64 = 66.0;

/// Colour of each archetype; people with any colour vision tell them apart, and the name stands in
/// the band and the legend.
/// Source: Okabe & Ito, "Color Universal Design", 2008.
const COLOURS: [(&str, &str); 5] = [
    ("Spike", "#D55E00"),
    ("Periodic", "#0072B2"),
    ("Ramp", "#E69F00"),
    ("Stationary", "#009E73"),
    ("Idle", "#8c959f"),
];

/// One stretch: begin and end in buckets, and what is in force.
type Stretch<'a> = (usize, usize, &'a ArchetypeRun);

/// The stretches of `runs` within a part of the run.
fn stretches<'a>(
    runs: &'a [ArchetypeRun],
    range: &'a std::ops::Range<usize>,
) -> impl Iterator<Item = Stretch<'a>> {
    let ends = runs.iter().skip(1).map(|r| r.from).chain([range.end]);
    let cut = |(run, end): (&'a ArchetypeRun, usize)| {
        let (from, to) = (run.from.max(range.start), end.min(range.end));
        (from < to).then_some((from, to, run))
    };
    runs.iter().zip(ends).filter_map(cut)
}

/// Draws the band at `top`; `x` places buckets of `range` from its begin on.
pub(crate) fn draw(
    drawing: &mut Drawing,
    runs: &[ArchetypeRun],
    range: &std::ops::Range<usize>,
    (x, left, top): (&Axis, f64, f64),
) {
    let place = |bucket: usize| x.place((bucket - range.start) as f64);
    // Stretches of one archetype get one name, however often its probability changed.
    let mut named: Option<(&str, f64, f64)> = None;
    let mut names = Vec::new();
    for (from, to, run) in stretches(runs, range) {
        let band = Rectangle {
            x: place(from),
            y: top,
            width: place(to) - place(from),
            height: BAND,
        };
        let known = COLOURS.iter().find(|(name, _)| *name == run.archetype);
        if let Some((_, fill)) = known {
            let opacity = 0.15 + 0.45 * f64::from(run.confidence_percent) / 100.0;
            let title = format!("{}, {} %", run.archetype, run.confidence_percent);
            drawing.band(band, fill, opacity, &title);
        }
        match &mut named {
            Some((name, _, end)) if *name == run.archetype => *end = band.x + band.width,
            _ => {
                names.extend(named.take());
                named = Some((&run.archetype, band.x, band.x + band.width));
            }
        }
    }
    names.extend(named);
    for (name, from, to) in names.into_iter().filter(|(_, from, to)| to - from >= NAMED) {
        let middle = (from + to) / 2.0;
        drawing.text(middle, top + 13.0, 11.0, Anchor::Middle, "strong", name);
    }
    legend(drawing, runs, range, (left, top + BAND + 22.0));
}

/// Colour, name and share of the time of each archetype that occurs.
fn legend(
    drawing: &mut Drawing,
    runs: &[ArchetypeRun],
    range: &std::ops::Range<usize>,
    (left, y): (f64, f64),
) {
    let whole = range.len().max(1) as f64;
    let mut at = left;
    let title = "archetype in force, share of the time:";
    drawing.text(at, y, 12.0, Anchor::Start, "tick", title);
    at += 242.0;
    for (name, fill) in COLOURS {
        let buckets: usize = stretches(runs, range)
            .filter(|(.., run)| run.archetype == name)
            .map(|(from, to, _)| to - from)
            .sum();
        if buckets == 0 {
            continue;
        }
        let square = Rectangle {
            x: at,
            y: y - 10.0,
            width: 14.0,
            height: 12.0,
        };
        drawing.band(square, fill, 0.6, name);
        let percent = 100.0 * buckets as f64 / whole;
        let text = format!("{name} {percent:.0} %");
        drawing.text(at + 19.0, y, 12.0, Anchor::Start, "tick", &text);
        at += 36.0 + text.chars().count() as f64 * 6.4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(from: usize, archetype: &str, confidence_percent: u8) -> ArchetypeRun {
        ArchetypeRun {
            from,
            archetype: archetype.to_owned(),
            confidence_percent,
        }
    }

    #[test]
    fn a_run_holds_until_the_next_one_and_is_cut_to_the_part_shown() {
        let runs = [
            run(6, "Ramp", 90),
            run(40, "Ramp", 60),
            run(50, "Spike", 99),
        ];
        let told = |range: std::ops::Range<usize>| -> Vec<(usize, usize, u8)> {
            let all = stretches(&runs, &range);
            all.map(|(from, to, r)| (from, to, r.confidence_percent))
                .collect()
        };
        assert_eq!(told(0..100), [(6, 40, 90), (40, 50, 60), (50, 100, 99)]);
        assert_eq!(told(45..60), [(45, 50, 60), (50, 60, 99)]);
        assert_eq!(told(0..6), []);
    }

    #[test]
    fn each_archetype_has_its_name_and_its_share_in_words() {
        let runs = [
            run(0, "Ramp", 90),
            run(25, "Ramp", 60),
            run(50, "Spike", 99),
        ];
        let x = Axis::exact(0.0, 100.0, 60.0, 840.0);
        let mut drawing = Drawing::new(860.0, 100.0);
        draw(&mut drawing, &runs, &(0..100), (&x, 60.0, 10.0));
        let svg = drawing.standalone("x");
        for part in [">Ramp<", ">Spike<", "Ramp 50 %", "Spike, 99 %"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(
            !svg.contains("Idle"),
            "what does not occur is not in the legend"
        );
    }
}
