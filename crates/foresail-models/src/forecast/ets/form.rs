//! The forms of ETS: error, trend and season, each with its letter.

use serde::{Deserialize, Serialize};

/// How the error enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Error {
    /// Added.
    Additive,
    /// In proportion to the forecast.
    Multiplicative,
}

/// How the level moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trend {
    /// It stays.
    None,
    /// By a slope.
    Additive,
    /// By a slope that fades.
    Damped,
}

/// How the season enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeasonForm {
    /// There is none.
    None,
    /// Added.
    Additive,
    /// As a factor.
    Multiplicative,
}

/// One form of ETS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// How the error enters.
    pub error: Error,
    /// How the level moves on.
    pub trend: Trend,
    /// How the season enters.
    pub season: SeasonForm,
}

impl Form {
    /// Simple exponential smoothing.
    pub const SIMPLE: Self = Self {
        error: Error::Additive,
        trend: Trend::None,
        season: SeasonForm::None,
    };

    /// `true` with a slope, damped or not.
    #[must_use]
    pub fn has_trend(self) -> bool {
        self.trend != Trend::None
    }

    /// `true` with a season.
    #[must_use]
    pub fn has_season(self) -> bool {
        self.season != SeasonForm::None
    }

    /// `true` where a value of zero or near it has no place.
    #[must_use]
    pub fn needs_positive(self) -> bool {
        self.error == Error::Multiplicative || self.season == SeasonForm::Multiplicative
    }

    /// Parameters and initial states that are estimated, and the variance.
    ///
    /// One of the `steps` initial seasons follows from the others.
    #[must_use]
    pub fn estimated(self, steps: usize) -> usize {
        let trend = match self.trend {
            Trend::None => 0,
            Trend::Additive => 2,
            Trend::Damped => 3,
        };
        3 + trend + if self.has_season() { steps } else { 0 }
    }
}

impl std::fmt::Display for Form {
    /// As in the literature: `ETS(A,Ad,M)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let error = match self.error {
            Error::Additive => "A",
            Error::Multiplicative => "M",
        };
        let trend = match self.trend {
            Trend::None => "N",
            Trend::Additive => "A",
            Trend::Damped => "Ad",
        };
        let season = match self.season {
            SeasonForm::None => "N",
            SeasonForm::Additive => "A",
            SeasonForm::Multiplicative => "M",
        };
        write!(f, "ETS({error},{trend},{season})")
    }
}

/// Every word of the knob `form`: `auto`, or error, trend and season with Z for chosen.
///
/// A trend of A is tried damped and not, as the knob `damped` says. AxM is no form: the factor of
/// the season and an error that does not grow with it make the variance run away near zero.
pub const WORDS: [&str; 34] = [
    "auto", "ANN", "ANA", "ANZ", "AAN", "AAA", "AAZ", "AZN", "AZA", "AZZ", "MNN", "MNA", "MNM",
    "MNZ", "MAN", "MAA", "MAM", "MAZ", "MZN", "MZA", "MZM", "MZZ", "ZNN", "ZNA", "ZNM", "ZNZ",
    "ZAN", "ZAA", "ZAM", "ZAZ", "ZZN", "ZZA", "ZZM", "ZZZ",
];

/// Every word of the knob `damped`.
pub const DAMPED: [&str; 3] = ["auto", "yes", "no"];

/// The forms that a word of [`WORDS`] and one of [`DAMPED`] allow, simple ones first.
///
/// Source: the combinations of R's `forecast::ets` with `restrict = TRUE` and no multiplicative
/// trend, its default.
#[must_use]
pub fn forms(word: &str, damped: &str) -> Vec<Form> {
    let letters: Vec<char> = match word {
        "auto" => vec!['Z'; 3],
        word => word.chars().collect(),
    };
    let letter = |place: usize| letters.get(place).copied().unwrap_or('Z');
    let allows = |place: usize, own: char| letter(place) == 'Z' || letter(place) == own;
    let mut found = Vec::new();
    for (error, e) in [(Error::Additive, 'A'), (Error::Multiplicative, 'M')] {
        for (season, s) in [
            (SeasonForm::None, 'N'),
            (SeasonForm::Additive, 'A'),
            (SeasonForm::Multiplicative, 'M'),
        ] {
            for (trend, t) in [
                (Trend::None, 'N'),
                (Trend::Additive, 'A'),
                (Trend::Damped, 'A'),
            ] {
                let unlike = error == Error::Additive && season == SeasonForm::Multiplicative;
                let wrong = match trend {
                    Trend::Additive => damped == "yes",
                    Trend::Damped => damped == "no",
                    Trend::None => false,
                };
                if !unlike && !wrong && allows(0, e) && allows(1, t) && allows(2, s) {
                    found.push(Form {
                        error,
                        trend,
                        season,
                    });
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_forms_are_tried_and_every_word_has_one() {
        assert_eq!(forms("auto", "auto").len(), 15);
        for word in WORDS {
            assert!(!forms(word, "auto").is_empty(), "{word}");
        }
        let two: Vec<String> = forms("AAA", "auto").iter().map(Form::to_string).collect();
        assert_eq!(two, ["ETS(A,A,A)", "ETS(A,Ad,A)"]);
        assert_eq!(forms("AAA", "no").len(), 1);
    }

    #[test]
    fn estimated_numbers_are_those_of_the_literature() {
        let of = |word, damped| forms(word, damped)[0];
        assert_eq!(of("ANN", "auto").estimated(1), 3);
        assert_eq!(of("ANA", "auto").estimated(24), 27);
        assert_eq!(of("AAA", "no").estimated(24), 29);
        assert_eq!(of("AAA", "yes").estimated(24), 30);
    }
}
