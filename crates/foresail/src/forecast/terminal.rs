//! A fan chart of characters: braille where the terminal can, plain ASCII elsewhere.

use std::fmt::Write;

use foresail_web::forecast::Fan;
use foresail_web::page::axis::Axis;

/// Rows of the chart.
const ROWS: usize = 16;

/// Characters of the labels at the left.
const LABEL: usize = 8;

/// The width where nothing tells it.
const WIDTH: usize = 100;

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Characters of a line.
    pub width: usize,
    /// `false` for ASCII alone.
    pub unicode: bool,
}

impl Look {
    /// The look of this terminal, by its size and the environment.
    #[must_use]
    pub fn here() -> Self {
        let told = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(told);
        let locale = locale.unwrap_or_default().to_lowercase();
        let dumb = told("TERM").is_some_and(|t| t == "dumb");
        let columns = told("COLUMNS").and_then(|c| c.parse().ok());
        let sized = || terminal_size::terminal_size().map(|(w, _)| usize::from(w.0));
        Self {
            width: columns.or_else(sized).unwrap_or(WIDTH).clamp(40, 160),
            unicode: !dumb && (locale.contains("utf-8") || locale.contains("utf8")),
        }
    }

    /// Dots of one character, across and down.
    fn dots(self) -> (usize, usize) {
        if self.unicode { (2, 4) } else { (1, 1) }
    }
}

/// Dots and bands on a grid of characters.
struct Canvas {
    look: Look,
    columns: usize,
    /// Braille bits of each character; any bit is a mark in ASCII.
    dots: Vec<u8>,
    band: Vec<bool>,
}

/// Bits of a braille character, row by row.
const BRAILLE: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

impl Canvas {
    fn new(look: Look) -> Self {
        let columns = look.width - LABEL - 2;
        Self {
            look,
            columns,
            dots: vec![0; columns * ROWS],
            band: vec![false; columns * ROWS],
        }
    }

    fn width(&self) -> usize {
        self.columns * self.look.dots().0
    }

    fn height(&self) -> usize {
        ROWS * self.look.dots().1
    }

    fn dot(&mut self, x: usize, y: usize) {
        let (across, down) = self.look.dots();
        let bit = BRAILLE[y % down][x % across];
        if let Some(cell) = self.dots.get_mut(y / down * self.columns + x / across) {
            *cell |= bit;
        }
    }

    /// A straight line of dots.
    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil() as usize;
        for i in 0..=steps {
            let share = i as f64 / steps.max(1) as f64;
            let x = from.0 + share * (to.0 - from.0);
            let y = from.1 + share * (to.1 - from.1);
            self.dot(x.round() as usize, y.round() as usize);
        }
    }

    /// Lines through values; a gap ends one.
    fn path(&mut self, first: usize, values: &[Option<f64>], scale: &Scale) {
        let mut before: Option<(f64, f64)> = None;
        for (i, value) in values.iter().enumerate() {
            let at = value.map(|v| (scale.x(first + i), scale.y.place(v)));
            if let Some(at) = at {
                self.line(before.unwrap_or(at), at);
            }
            before = at;
        }
    }

    /// Fills the characters between two lines, those that hold both ends included.
    fn fill(&mut self, first: usize, edges: [&[Option<f64>]; 2], scale: &Scale) {
        let (across, down) = self.look.dots();
        let [low, high] = edges;
        for (i, (low, high)) in low.iter().zip(high).enumerate() {
            let (Some(low), Some(high)) = (low, high) else {
                continue;
            };
            let half = scale.per_step / 2.0;
            let middle = scale.x(first + i);
            let left = ((middle - half).max(0.0) / across as f64) as usize;
            let right = ((middle + half) / across as f64) as usize;
            let rows = [*high, *low].map(|v| scale.y.place(v) as usize / down);
            for row in rows[0]..=rows[1].min(ROWS - 1) {
                for column in left..=right.min(self.columns - 1) {
                    self.band[row * self.columns + column] = true;
                }
            }
        }
    }

    /// The character of a place.
    fn character(&self, row: usize, column: usize, now: Option<usize>) -> char {
        let place = row * self.columns + column;
        let is_past = now.is_some_and(|n| column < n);
        match (self.dots[place], self.band[place], self.look.unicode) {
            (0, _, unicode) if now == Some(column) => {
                if unicode {
                    '│'
                } else {
                    '|'
                }
            }
            (0, true, unicode) => {
                if unicode {
                    '░'
                } else {
                    '.'
                }
            }
            (0, false, _) => ' ',
            (bits, _, true) => char::from_u32(0x2800 + u32::from(bits)).unwrap_or('*'),
            (_, _, false) => {
                if is_past {
                    '+'
                } else {
                    '*'
                }
            }
        }
    }
}

/// From steps and values to dots.
struct Scale {
    per_step: f64,
    y: Axis,
}

impl Scale {
    fn x(&self, step: usize) -> f64 {
        (step as f64 + 0.5) * self.per_step - 0.5
    }
}

/// The fan as lines of text, each ended.
#[must_use]
pub fn draw(fan: &Fan, look: Look) -> String {
    let mut canvas = Canvas::new(look);
    let scale = Scale {
        per_step: canvas.width() as f64 / fan.steps().max(1) as f64,
        y: Axis::linear(
            [0.0, fan.height()].into_iter(),
            (canvas.height() - 1) as f64,
            0.0,
        ),
    };
    let first = fan.past.len();
    // The 80 % band, or the one that is there.
    let bands = fan.bands();
    let band = bands.iter().find(|b| fan.band_name(**b).starts_with("80 "));
    let band = band.or(bands.first()).copied();
    if let Some((low, high)) = band {
        canvas.fill(first, [&fan.at(low), &fan.at(high)], &scale);
    }
    canvas.path(0, &fan.past, &scale);
    if let Some(median) = fan.median() {
        canvas.path(first, &fan.at(median), &scale);
    }
    let now = (first > 0).then(|| (first as f64 * scale.per_step) as usize / look.dots().0);
    let mut text = format!("{}\n{}\n", fan.title, fan.unit);
    rows(&canvas, &scale, now, &mut text);
    feet(fan, &canvas, now, &mut text);
    legend(fan, look, band, &mut text);
    text
}

/// The rows of the chart with the labels of their values.
fn rows(canvas: &Canvas, scale: &Scale, now: Option<usize>, text: &mut String) {
    let down = canvas.look.dots().1;
    let row_of = |value: f64| scale.y.place(value) as usize / down;
    let ticks = scale.y.ticks();
    let bar = if canvas.look.unicode { '┤' } else { '|' };
    let plain = if canvas.look.unicode { '│' } else { '|' };
    for row in 0..ROWS {
        let tick = ticks.iter().find(|(value, _)| row_of(*value) == row);
        let label = tick.map_or("", |(_, text)| text.as_str());
        let edge = if tick.is_some() { bar } else { plain };
        let line: String = (0..canvas.columns)
            .map(|column| canvas.character(row, column, now))
            .collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:>LABEL$} {edge}{}", line.trim_end());
    }
}

/// Times under the chart: its begin, the end of what is known, its end.
fn feet(fan: &Fan, canvas: &Canvas, now: Option<usize>, text: &mut String) {
    let (corner, dash, mark) = if canvas.look.unicode {
        ('└', '─', '┴')
    } else {
        ('+', '-', '+')
    };
    let foot = |column: usize| if now == Some(column) { mark } else { dash };
    let line: String = (0..canvas.columns).map(foot).collect();
    let _ = writeln!(text, "{:>LABEL$} {corner}{line}", "");
    let at = |step: usize| {
        let nanos = fan.step.nanos().saturating_mul(step as i64);
        let time = fan.start + foresail_core::quantity::time::Span::from_nanos(nanos);
        let time = time.to_string();
        let seconds = fan.step.whole_seconds() < 60;
        let part = if seconds { 5..19 } else { 5..16 };
        time.get(part).unwrap_or_default().replace('T', " ")
    };
    let mut line = vec![' '; canvas.columns];
    let mut put = |label: &str, column: usize| {
        let free = |line: &[char], from: usize, to: usize| line[from..to].iter().all(|c| *c == ' ');
        let (length, columns) = (label.chars().count(), line.len());
        let from = column.min(columns.saturating_sub(length));
        let to = (from + length).min(columns);
        if free(&line, from.saturating_sub(1), (to + 1).min(columns)) {
            line[from..to]
                .iter_mut()
                .zip(label.chars())
                .for_each(|(c, l)| *c = l);
        }
    };
    put(&at(0), 0);
    put(&at(fan.steps()), canvas.columns);
    if let Some(now) = now {
        let label = at(fan.past.len());
        put(&label, now.saturating_sub(label.len() / 2));
    }
    let line: String = line.into_iter().collect();
    let _ = writeln!(text, "{:>LABEL$}  {}", "UTC", line.trim_end());
}

fn legend(fan: &Fan, look: Look, band: Option<(usize, usize)>, text: &mut String) {
    let (past, median, shade, rule) = if look.unicode {
        ("⠤⠒", "⠤⠒", "░", "│")
    } else {
        ("++", "**", ".", "|")
    };
    let mut parts = Vec::new();
    if !fan.past.is_empty() {
        parts.push(format!("left of {rule}: measured {past}"));
    }
    if fan.median().is_some() {
        parts.push(format!("right: median {median}"));
    }
    if let Some(band) = band {
        parts.push(format!("{shade} {}", fan.band_name(band)));
    }
    // A line each: together they are wider than a narrow terminal.
    for part in parts {
        let _ = writeln!(text, "{:>LABEL$}  {part}", "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_core::quantity::time::{Span, Timestamp};

    fn fan() -> Fan {
        let step = |i: usize| 50.0 + 30.0 * (i as f64 / 8.0).sin();
        let ahead = |i: usize| vec![step(i) - 15.0, step(i), step(i) + 15.0];
        Fan {
            title: "web by auto".to_owned(),
            unit: "demand per step of 1 min".to_owned(),
            start: Timestamp::from_seconds(1_769_890_200),
            step: Span::from_seconds(60),
            past: (0..80).map(|i| Some(step(i))).collect(),
            levels: vec![0.1, 0.5, 0.9],
            quantiles: (80..120).map(ahead).collect(),
            truth: Vec::new(),
        }
    }

    #[test]
    fn every_line_fits_the_width_and_the_band_stands_right_of_now() {
        for (unicode, width) in [(true, 40), (true, 100), (false, 60), (false, 160)] {
            let look = Look { width, unicode };
            let text = draw(&fan(), look);
            for line in text.lines() {
                assert!(line.chars().count() <= width + 2, "{width}: {line}");
            }
            assert_eq!(text.is_ascii(), !unicode, "{text}");
            let shade = if unicode { '░' } else { '.' };
            let rule = if unicode { '│' } else { '|' };
            let row = text.lines().find(|l| l.contains(shade)).unwrap_or_default();
            let now = row.char_indices().rfind(|(_, c)| *c == rule);
            let shade = row.char_indices().find(|(_, c)| *c == shade);
            assert!(now.zip(shade).is_some_and(|(n, s)| n.0 < s.0), "{row}");
        }
    }

    #[test]
    fn a_forecast_without_a_past_and_one_of_zeros_are_drawn() {
        let bare = Fan {
            past: Vec::new(),
            quantiles: vec![vec![0.0; 3]],
            ..fan()
        };
        let look = Look {
            width: 60,
            unicode: true,
        };
        let text = draw(&bare, look);
        assert!(
            text.lines().count() > ROWS && !text.contains("NaN"),
            "{text}"
        );
    }
}
