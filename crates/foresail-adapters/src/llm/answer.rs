//! What a model answers, read with suspicion.
//!
//! The first JSON object of the text is read as it comes, key by key. A fence or words around it are
//! let through and told, since they show that the endpoint did not hold the model to the schema;
//! everything else that is not as asked for is refused by name. Nothing is guessed.

use serde::{Deserialize, Serialize};

/// The longest text that is read as an answer: some ten times what is asked for.
pub const ANSWER_BYTES_MAX: usize = 4 << 10;

/// The most replicas that an answer may add or take away.
pub const DELTA_MAX: i64 = 2;

/// Characters of a foreign key that are told.
const KEY_CHARS: usize = 32;

/// The keys of an answer, in the order in which they are asked for.
pub const KEYS: [&str; 3] = ["reasoning", "delta", "confidence_pct"];

/// An answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    /// Why, in the model's words; without control and direction characters.
    pub reasoning: String,
    /// What is added to the baseline, −2 to 2.
    pub delta: i32,
    /// How sure the model says it is, 0 to 100.
    pub confidence_percent: u8,
    /// `true` where one of the numbers lay outside its range and is the nearest inside.
    pub limited: bool,
    /// `false` where the object stood in a fence or among words: nobody held the model to a schema.
    pub schema_applied: bool,
}

/// Why a text is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing but white space.
    #[error("the answer is empty")]
    Empty,
    /// No `{`.
    #[error("the answer holds no JSON object")]
    NoObject,
    /// The end comes too early.
    #[error("the JSON object is cut short")]
    CutShort,
    /// No JSON.
    #[error("the answer is no JSON at byte {at}")]
    NotJson {
        /// Where.
        at: usize,
    },
    /// A key twice.
    #[error("the key \"{key}\" stands twice")]
    Duplicate {
        /// Which.
        key: String,
    },
    /// Another object after the first.
    #[error("a second object follows the first")]
    SecondObject,
    /// A key is not there.
    #[error("the key \"{key}\" is missing")]
    Missing {
        /// Which.
        key: String,
    },
    /// A key that was not asked for.
    #[error("the key \"{key}\" was not asked for")]
    Extra {
        /// Its begin.
        key: String,
    },
    /// `null`.
    #[error("\"{key}\" is null")]
    Null {
        /// Of which key.
        key: String,
    },
    /// A number as a text.
    #[error("\"{key}\" is a text and must be a number")]
    TextNumber {
        /// Of which key.
        key: String,
    },
    /// A value of another type.
    #[error("\"{key}\" has a value of the wrong type")]
    WrongType {
        /// Of which key.
        key: String,
    },
    /// A number with a point or an exponent.
    #[error("\"{key}\" must be a whole number, without a point or an exponent")]
    NotWhole {
        /// Of which key.
        key: String,
    },
    /// NaN or infinite.
    #[error("\"{key}\" is no finite number")]
    NotFinite {
        /// Of which key.
        key: String,
    },
    /// A number that no number type holds.
    #[error("\"{key}\" is too large a number")]
    Overflow {
        /// Of which key.
        key: String,
    },
    /// The model did not come to an end.
    #[error("the model ended with \"{reason}\" and not with \"stop\"")]
    Unfinished {
        /// The endpoint's word for it; empty where it gives none.
        reason: String,
    },
    /// Longer than any answer can be.
    #[error("the answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
}

/// Reads an answer.
///
/// # Errors
/// [`Refusal`] for everything but one object with exactly the keys and types that were asked for.
pub fn parse(text: &str) -> Result<Answer, Refusal> {
    if text.len() > ANSWER_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    if text.trim().is_empty() {
        return Err(Refusal::Empty);
    }
    let begin = text.find('{').ok_or(Refusal::NoObject)?;
    let mut reader = Reader {
        text,
        at: begin + 1,
    };
    let fields = reader.object()?;
    let after = &text[reader.at..];
    if after.contains('{') {
        return Err(Refusal::SecondObject);
    }
    let bare = text[..begin].trim().is_empty() && after.trim().is_empty();
    fields.answer(bare)
}

/// The values that were read so far.
#[derive(Default)]
struct Fields {
    reasoning: Option<String>,
    delta: Option<i64>,
    confidence: Option<i64>,
}

impl Fields {
    fn has(&self, key: &str) -> bool {
        match key {
            "reasoning" => self.reasoning.is_some(),
            "delta" => self.delta.is_some(),
            _ => self.confidence.is_some(),
        }
    }

    fn answer(self, schema_applied: bool) -> Result<Answer, Refusal> {
        let missing = |key: &str| Refusal::Missing {
            key: key.to_owned(),
        };
        let reasoning = self.reasoning.ok_or_else(|| missing(KEYS[0]))?;
        let delta = self.delta.ok_or_else(|| missing(KEYS[1]))?;
        let confidence = self.confidence.ok_or_else(|| missing(KEYS[2]))?;
        let within = (delta.clamp(-DELTA_MAX, DELTA_MAX), confidence.clamp(0, 100));
        Ok(Answer {
            reasoning: plain(&reasoning),
            delta: within.0 as i32,
            confidence_percent: within.1 as u8,
            limited: within != (delta, confidence),
            schema_applied,
        })
    }
}

/// A text on one line, without characters that steer a terminal or the direction of writing.
pub(super) fn plain(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}')
    };
    let line: String = text
        .chars()
        .map(|c| if steers(c) { ' ' } else { c })
        .collect();
    line.trim().to_owned()
}

/// Reads one object of known keys from a text.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Result<u8, Refusal> {
        let byte = self.text.as_bytes().get(self.at);
        byte.copied().ok_or(Refusal::CutShort)
    }

    fn blank(&mut self) -> Result<u8, Refusal> {
        while matches!(self.peek()?, b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.peek()
    }

    fn expect(&mut self, byte: u8) -> Result<(), Refusal> {
        if self.blank()? != byte {
            return Err(Refusal::NotJson { at: self.at });
        }
        self.at += 1;
        Ok(())
    }

    fn object(&mut self) -> Result<Fields, Refusal> {
        let mut fields = Fields::default();
        if self.blank()? == b'}' {
            self.at += 1;
            return Ok(fields);
        }
        loop {
            self.blank()?;
            let key = self.string()?;
            self.expect(b':')?;
            self.blank()?;
            if !KEYS.contains(&key.as_str()) {
                let key = plain(&key).chars().take(KEY_CHARS).collect();
                return Err(Refusal::Extra { key });
            }
            if fields.has(&key) {
                return Err(Refusal::Duplicate { key });
            }
            match key.as_str() {
                "reasoning" => fields.reasoning = Some(self.words(key)?),
                "delta" => fields.delta = Some(self.whole(key)?),
                _ => fields.confidence = Some(self.whole(key)?),
            }
            match self.blank()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(fields);
                }
                _ => return Err(Refusal::NotJson { at: self.at }),
            }
        }
    }

    /// A JSON string, from its first quote on.
    fn string(&mut self) -> Result<String, Refusal> {
        let begin = self.at;
        if self.peek()? != b'"' {
            return Err(Refusal::NotJson { at: begin });
        }
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => break,
                // What is escaped is looked at below; here only its length counts.
                b'\\' => self.at += 2,
                0..0x20 => return Err(Refusal::NotJson { at: self.at }),
                _ => self.at += 1,
            }
        }
        self.at += 1;
        let whole = self.text.get(begin..self.at);
        let read = whole.and_then(|w| serde_json::from_str(w).ok());
        read.ok_or(Refusal::NotJson { at: begin })
    }

    fn words(&mut self, key: String) -> Result<String, Refusal> {
        match self.peek()? {
            b'"' => self.string(),
            b'n' if self.rest_begins("null") => Err(Refusal::Null { key }),
            _ => Err(Refusal::WrongType { key }),
        }
    }

    fn rest_begins(&self, word: &str) -> bool {
        self.text.as_bytes()[self.at..].starts_with(word.as_bytes())
    }

    /// A whole number.
    fn whole(&mut self, key: String) -> Result<i64, Refusal> {
        match self.peek()? {
            b'"' => return Err(Refusal::TextNumber { key }),
            b'n' if self.rest_begins("null") => return Err(Refusal::Null { key }),
            b'N' | b'I' | b'n' | b'i' => return Err(Refusal::NotFinite { key }),
            b'-' if self.rest_begins("-I") || self.rest_begins("-i") => {
                return Err(Refusal::NotFinite { key });
            }
            b'-' | b'0'..=b'9' => {}
            b't' | b'f' | b'[' | b'{' => return Err(Refusal::WrongType { key }),
            _ => return Err(Refusal::NotJson { at: self.at }),
        }
        let begin = self.at;
        while matches!(self.peek()?, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E') {
            self.at += 1;
        }
        let token = &self.text[begin..self.at];
        if !is_number(token) {
            return Err(Refusal::NotJson { at: begin });
        }
        if token.contains(['.', 'e', 'E']) {
            let finite = token.parse::<f64>().is_ok_and(f64::is_finite);
            return Err(if finite {
                Refusal::NotWhole { key }
            } else {
                Refusal::Overflow { key }
            });
        }
        token.parse().map_err(|_| Refusal::Overflow { key })
    }
}

/// `true` where a token is a number by JSON's own grammar.
fn is_number(token: &str) -> bool {
    let digits = token.strip_prefix('-').unwrap_or(token);
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let all_digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let whole_fits = all_digits(whole) && (whole == "0" || !whole.starts_with('0'));
    let exponent_fits =
        exponent.is_none_or(|e| all_digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
    whole_fits && fraction.is_none_or(all_digits) && exponent_fits
}

#[cfg(test)]
mod tests;
