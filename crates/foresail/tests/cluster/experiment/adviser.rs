//! An endpoint in the place of a language model: a rule that reads the prompt as a model would and answers
//! in its form. What it advises is worth nothing as a measure of any model.

use serde_json::{Value, json};

use super::server::{Reply, Server, json as told};

/// The name under which it is asked; by its begin it is told as a rule wherever it appears.
pub const NAME: &str = "scripted:trend-behind-http";

/// Growth of the CPU of all pods from which on one replica is added or taken away, and two.
const GROWTH: (f64, f64) = (0.2, 0.6);

/// Starts it.
pub fn start() -> Server {
    Server::new(None, |asked| {
        if asked.target.contains("/models") {
            return told(json!({"data": [{"id": NAME}]}).to_string());
        }
        let body = asked.target.split_once('?').map_or("", |(_, body)| body);
        match answer(body) {
            Some(words) => told(completion(&words)),
            None => Reply::Text(400, "", "no question".to_owned()),
        }
    })
}

/// What it says to a request.
fn answer(body: &str) -> Option<Value> {
    let asked: Value = serde_json::from_str(body).ok()?;
    let messages = asked["messages"].as_array()?;
    let prompt = messages.last()?["content"].as_str()?;
    let rows = prompt.split("measurements:\n").nth(1)?.lines().skip(1);
    // CPU of a pod is the second cell and the number of pods the last.
    let all = rows.filter_map(|row| {
        let cells: Vec<&str> = row.split(',').collect();
        let cpu: f64 = cells.get(1)?.parse().ok()?;
        let pods: f64 = cells.get(6)?.parse().ok()?;
        Some(cpu * pods)
    });
    let all: Vec<f64> = all.collect();
    let delta = match all.last_chunk::<4>() {
        Some([a, b, c, d]) => delta((a + b) / 2.0, (c + d) / 2.0),
        None => 0,
    };
    Some(
        json!({"reasoning": "CPU of all pods, two rows against two", "delta": delta, "confidence_pct": 70}),
    )
}

fn delta(before: f64, now: f64) -> i64 {
    let growth = (now - before) / before.max(1.0);
    let steps = match growth.abs() {
        g if g > GROWTH.1 => 2,
        g if g > GROWTH.0 => 1,
        _ => 0,
    };
    if growth < 0.0 { -steps } else { steps }
}

fn completion(words: &Value) -> String {
    let message = json!({"role": "assistant", "content": words.to_string()});
    json!({
        "id": "c", "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 40, "total_tokens": 340},
    })
    .to_string()
}
