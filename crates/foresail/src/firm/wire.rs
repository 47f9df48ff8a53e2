//! Between the engine's types and the messages.
//!
//! The published messages hold whole numbers of 32 bits without a unit. Here they are thousandths: of a
//! core, of a MiB, of a request a second. What does not fit is the largest number; usage that is not
//! measured is −1 and a limit that does not exist is 0, since neither is "none used".

use foresail_adapters::rpc::environment::Move as WireMove;
use foresail_adapters::rpc::interaction::{Action, Limit, Other, ToClientMessage, Usage};
use foresail_core::hpa::PodReading;
use foresail_core::propose::plan::{Resources, Setting};
use foresail_core::quantity::units::{Quantity, Unit};
use foresail_models::rl::axes::{Move, Moves};

/// Usage that is not measured.
pub const NOT_MEASURED: i32 = -1;

/// Bytes of a MiB.
const MIB: i64 = 1 << 20;

/// A whole number of the message's width.
fn narrow(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX })
}

/// Thousandths of a byte as thousandths of a MiB.
fn mebi(milli_bytes: i64) -> i64 {
    milli_bytes / MIB
}

/// The move of a message; `None` where it is none.
#[must_use]
pub fn move_of(wire: i32) -> Option<Move> {
    match WireMove::try_from(wire).ok()? {
        WireMove::Hold => Some(Move::Hold),
        WireMove::Up => Some(Move::Up),
        WireMove::Down => Some(Move::Down),
    }
}

/// Moves as the message has them.
#[must_use]
pub fn moves(all: &[Move]) -> Vec<i32> {
    let one = |m: &Move| match m {
        Move::Hold => WireMove::Hold,
        Move::Up => WireMove::Up,
        Move::Down => WireMove::Down,
    };
    all.iter().map(|m| one(m) as i32).collect()
}

/// Moves of a message; `None` where one of them is none.
#[must_use]
pub fn moves_of(wire: &[i32]) -> Option<Moves> {
    wire.iter().map(|m| move_of(*m)).collect()
}

/// What one pod uses on average, in thousandths; `None` where no pod has a sample.
#[must_use]
pub fn mean(pods: Option<&[PodReading]>) -> Option<i64> {
    let samples: Vec<i64> = pods?
        .iter()
        .filter_map(|p| p.sample.map(|s| s.value))
        .collect();
    let count = i64::try_from(samples.len()).ok().filter(|n| *n > 0)?;
    Some(samples.iter().sum::<i64>() / count)
}

/// The published usage of means in thousandths of a core and of a byte.
#[must_use]
pub fn usage(cpu: Option<i64>, memory: Option<i64>) -> Usage {
    Usage {
        cpu: cpu.map_or(NOT_MEASURED, narrow),
        memory: memory.map_or(NOT_MEASURED, |m| narrow(mebi(m))),
        llc: NOT_MEASURED,
        io: NOT_MEASURED,
        network: NOT_MEASURED,
    }
}

/// The published limit of a setting.
#[must_use]
pub fn limit(setting: &Setting) -> Limit {
    let milli = |name: &str| setting.per_pod.get(name).map_or(0, Quantity::milli);
    Limit {
        cpu: narrow(milli("cpu")),
        memory: narrow(mebi(milli("memory"))),
        llc: 0,
        io: 0,
        network: 0,
    }
}

/// What a published action wishes of one pod; 0 leaves a resource as it is, and llc, io and network, which
/// Kubernetes does not limit, are masked.
///
/// # Errors
/// The field that is below 0.
pub fn wished(action: &Action) -> Result<Resources, String> {
    let fields = [
        ("cpu", action.cpu),
        ("memory", action.memory),
        ("llc", action.llc),
        ("io", action.io),
        ("network", action.network),
    ];
    if let Some((name, value)) = fields.iter().find(|(_, v)| *v < 0) {
        return Err(format!("{name} {value} is below 0"));
    }
    let mut wish = Resources::NONE;
    if action.cpu > 0 {
        wish.set(
            "cpu",
            Quantity::from_milli(i64::from(action.cpu), Unit::Count),
        );
    }
    if action.memory > 0 {
        let milli_bytes = i64::from(action.memory) * MIB;
        // The API takes whole bytes.
        let whole = milli_bytes / 1000 * 1000;
        wish.set("memory", Quantity::from_milli(whole, Unit::Bytes));
    }
    Ok(wish)
}

/// Requests a second as thousandths; −1 where they are not measured.
#[must_use]
pub fn rate(demand: Option<f64>) -> i32 {
    demand.map_or(NOT_MEASURED, |d| narrow((d * 1000.0).round() as i64))
}

/// A message that says only what is wrong.
#[must_use]
pub fn unknown(id: &str, status: String) -> ToClientMessage {
    ToClientMessage {
        name: None,
        node: None,
        id: id.to_owned(),
        usage: usage(None, None),
        limit: limit(&Setting::default()),
        other: Other {
            slo_retainment: f32::NAN,
            curr_arrival_rate: NOT_MEASURED,
            rate_ratio: f32::NAN,
            percentages: Vec::new(),
        },
        status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_thousandths_and_saturate() {
        let action = Action {
            cpu: 1500,
            memory: 3_072_000,
            llc: 7,
            io: 0,
            network: 1,
        };
        let wish = wished(&action).unwrap();
        assert_eq!(wish.get("cpu").unwrap().to_string(), "1500m");
        assert_eq!(wish.get("memory").unwrap().to_string(), "3Gi");
        assert_eq!(wish.iter().count(), 2, "what cannot be limited is masked");
        let mut setting = Setting {
            per_pod: wish,
            ..Setting::default()
        };
        let back = limit(&setting);
        assert_eq!((back.cpu, back.memory, back.llc), (1500, 3_072_000, 0));
        setting
            .per_pod
            .set("memory", Quantity::from_milli(i64::MAX, Unit::Bytes));
        assert_eq!(limit(&setting).memory, i32::MAX, "the largest that fits");
        assert_eq!(
            usage(None, Some(0)).cpu,
            NOT_MEASURED,
            "missing is not zero"
        );
        assert_eq!(usage(None, Some(0)).memory, 0);
        assert!(
            wished(&Action { cpu: -1, ..action })
                .unwrap_err()
                .contains("cpu -1")
        );
    }

    #[test]
    fn moves_are_the_same_both_ways() {
        assert_eq!(moves_of(&moves(&Move::ALL)).unwrap(), Move::ALL);
        assert_eq!(moves_of(&[0, 3]), None);
    }
}
