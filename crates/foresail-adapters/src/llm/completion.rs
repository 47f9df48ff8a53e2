//! Requests and replies of `chat/completions`, as OpenAI, Ollama, llama.cpp and vLLM know them.

use serde::{Deserialize, Serialize};

use super::answer::{ANSWER_BYTES_MAX, Refusal};
use super::failure::Failure;
use super::prompt::Prompt;

/// The most tokens of an answer: what is asked for takes 60 to 90.
const TOKENS_MAX: u32 = 160;

/// The seed of every request: what an endpoint draws at temperature 0 shall be the same each time.
const SEED: u32 = 1;

/// How an endpoint is asked for JSON, the strictest way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// `response_format` with a strict schema.
    JsonSchema,
    /// `response_format` for any JSON object.
    JsonObject,
    /// No `response_format`: the prompt alone says what is wanted.
    Text,
}

impl Rung {
    /// Every rung, from the top.
    pub const ALL: [Self; 3] = [Self::JsonSchema, Self::JsonObject, Self::Text];

    /// The one below.
    #[must_use]
    pub const fn below(self) -> Option<Self> {
        match self {
            Self::JsonSchema => Some(Self::JsonObject),
            Self::JsonObject => Some(Self::Text),
            Self::Text => None,
        }
    }
}

/// Tokens of a question; what the endpoint does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tokens {
    /// Of the prompts.
    pub prompt: Option<u64>,
    /// Of the answers.
    pub completion: Option<u64>,
}

impl Tokens {
    /// Both together; what neither tells stays unknown.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (known, None) | (None, known) => known,
        };
        Self {
            prompt: sum(self.prompt, other.prompt),
            completion: sum(self.completion, other.completion),
        }
    }
}

/// One turn of the dialogue.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Message {
    role: &'static str,
    content: String,
}

impl Message {
    /// What a dialogue begins with.
    pub(super) fn first(prompt: &Prompt) -> Vec<Self> {
        let of = |role, content: &str| Self {
            role,
            content: content.to_owned(),
        };
        vec![of("system", prompt.system), of("user", &prompt.user)]
    }

    /// The bad answer and what is wrong with it.
    pub(super) fn correction(raw: &str, refusal: &Refusal) -> [Self; 2] {
        let content = format!(
            "That answer cannot be used: {refusal}. Answer again with the one JSON object and nothing else."
        );
        let raw = Self {
            role: "assistant",
            content: raw.to_owned(),
        };
        [
            raw,
            Self {
                role: "user",
                content,
            },
        ]
    }
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: &'a [Message],
    temperature: u32,
    seed: u32,
    max_tokens: u32,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format {
    JsonSchema { json_schema: Named },
    JsonObject,
}

#[derive(Serialize)]
struct Named {
    name: &'static str,
    strict: bool,
    schema: Schema,
}

/// The schema. Only keywords that every grammar knows: others are left out silently, or make the
/// whole schema fall away. The fields stand in the order in which a model shall write them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Schema {
    r#type: &'static str,
    properties: Properties,
    required: [&'static str; 3],
    additional_properties: bool,
}

#[derive(Serialize)]
struct Properties {
    reasoning: Words,
    delta: Numbers,
    confidence_pct: Whole,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Words {
    r#type: &'static str,
    max_length: u32,
}

#[derive(Serialize)]
struct Numbers {
    r#type: &'static str,
    r#enum: [i32; 5],
}

#[derive(Serialize)]
struct Whole {
    r#type: &'static str,
}

fn schema() -> Schema {
    Schema {
        r#type: "object",
        properties: Properties {
            reasoning: Words {
                r#type: "string",
                max_length: 160,
            },
            delta: Numbers {
                r#type: "integer",
                r#enum: [-2, -1, 0, 1, 2],
            },
            confidence_pct: Whole { r#type: "integer" },
        },
        required: super::answer::KEYS,
        additional_properties: false,
    }
}

/// The body of one request.
pub(super) fn body(model: &str, messages: &[Message], rung: Rung) -> Vec<u8> {
    let response_format = match rung {
        Rung::JsonSchema => Some(Format::JsonSchema {
            json_schema: Named {
                name: "scaling_advice",
                strict: true,
                schema: schema(),
            },
        }),
        Rung::JsonObject => Some(Format::JsonObject),
        Rung::Text => None,
    };
    let request = Request {
        model,
        messages,
        temperature: 0,
        seed: SEED,
        max_tokens: TOKENS_MAX,
        stream: false,
        response_format,
    };
    // Texts and numbers alone: nothing of it can fail.
    serde_json::to_vec(&request).unwrap_or_default()
}

/// What a model said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// Its words.
    pub(super) text: String,
    /// Why it ended; empty where the endpoint does not tell.
    pub(super) finish_reason: String,
    /// Tokens, as far as the endpoint tells.
    pub(super) tokens: Tokens,
}

impl Said {
    /// The words, where the model came to an end by itself.
    pub(super) fn whole(&self) -> Result<&str, Refusal> {
        if self.finish_reason != "stop" {
            let reason = super::answer::plain(&self.finish_reason);
            let reason = reason.chars().take(32).collect();
            return Err(Refusal::Unfinished { reason });
        }
        if self.text.len() > ANSWER_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        Ok(&self.text)
    }
}

#[derive(Deserialize)]
struct Reply {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Content,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
}

/// Reads a reply.
///
/// # Errors
/// [`Failure::NotCompletion`] where it is of another form.
pub(super) fn read(bytes: &[u8]) -> Result<Said, Failure> {
    let foreign = |why: String| Failure::NotCompletion { why };
    let reply: Reply = serde_json::from_slice(bytes).map_err(|e| foreign(e.to_string()))?;
    let choice = reply.choices.into_iter().next();
    let choice = choice.ok_or_else(|| foreign("it holds no choice".to_owned()))?;
    let tokens = reply.usage.map_or_else(Tokens::default, |u| Tokens {
        prompt: u.prompt_tokens,
        completion: u.completion_tokens,
    });
    Ok(Said {
        text: choice.message.content.unwrap_or_default(),
        finish_reason: choice.finish_reason.unwrap_or_default(),
        tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::question::Question;

    fn text(rung: Rung) -> String {
        let prompt = Prompt::of(&Question::default());
        String::from_utf8(body("m", &Message::first(&prompt), rung)).unwrap()
    }

    #[test]
    fn the_schema_has_known_keywords_alone_and_reasoning_first() {
        let body = text(Rung::JsonSchema);
        let format = r#""response_format":{"type":"json_schema","json_schema":{"name":"scaling_advice","strict":true,"schema":{"type":"object","properties":{"reasoning":{"type":"string","maxLength":160},"delta":{"type":"integer","enum":[-2,-1,0,1,2]},"confidence_pct":{"type":"integer"}},"required":["reasoning","delta","confidence_pct"],"additionalProperties":false}}}}"#;
        assert!(body.ends_with(format), "{body}");
        assert!(text(Rung::JsonObject).ends_with(r#""response_format":{"type":"json_object"}}"#));
        assert!(text(Rung::Text).ends_with(r#""max_tokens":160,"stream":false}"#));
        assert!(body.contains(r#""temperature":0,"seed":1,"max_tokens":160"#));
        assert_eq!(text(Rung::JsonSchema), body);
    }

    #[test]
    fn a_reply_is_read_or_refused() {
        let good = br#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"total_tokens":11}}"#;
        let said = read(good).unwrap();
        assert_eq!(said.whole(), Ok("hi"));
        let tokens = Tokens {
            prompt: Some(9),
            completion: None,
        };
        assert_eq!(said.tokens, tokens);
        for reason in ["length", "", "content_filter"] {
            let said = Said {
                finish_reason: reason.to_owned(),
                ..said.clone()
            };
            let reason = reason.to_owned();
            assert_eq!(said.whole(), Err(Refusal::Unfinished { reason }));
        }
        let deep = format!("{{\"choices\":{}", "[".repeat(1_000_000));
        for bytes in [
            &b""[..],
            b"<html>",
            br#"{"choices":[]}"#,
            br#"{"choices":[{}]}"#,
            deep.as_bytes(),
        ] {
            assert!(matches!(read(bytes), Err(Failure::NotCompletion { .. })));
        }
    }
}
