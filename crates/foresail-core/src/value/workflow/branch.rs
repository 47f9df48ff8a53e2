//! Which stages of a request run: chance, and what follows from it.
//!
//! A stage runs where its own draw lets it and, if it waits for any, where at least one of those
//! ran: the join behind a branch runs whichever way was taken, and what hangs on a branch that was
//! not taken is skipped.

use super::Workflow;

/// The most outcomes that are enumerated.
const OUTCOMES_MAX: usize = 4096;

/// One way that a request may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How likely it is.
    pub probability: f64,
    /// Which stages run, by place.
    pub runs: Vec<bool>,
}

/// One draw: the stages that it may let run, each with its chance; never two at once.
type Draw = Vec<(usize, f64)>;

impl Workflow {
    /// One draw per choice, then one per stage that depends on chance by itself.
    fn draws(&self) -> Vec<Draw> {
        let named = self.stages.iter().enumerate();
        let mut draws: Vec<Draw> = vec![Draw::new(); self.choices];
        for (place, stage) in named {
            match stage.choice {
                Some(choice) => draws[choice].push((place, stage.probability)),
                None if stage.probability < 1.0 => draws.push(vec![(place, stage.probability)]),
                None => {}
            }
        }
        draws
    }

    /// Which stages run of those that their draws let run; shape `[stages]`.
    fn spread(&self, mut runs: Vec<bool>) -> Vec<bool> {
        for place in &self.order {
            let after = &self.stages[*place].after;
            let reached = after.is_empty() || after.iter().any(|a| runs[*a]);
            runs[*place] = runs[*place] && reached;
        }
        runs
    }

    /// Which stages let themselves run before any draw.
    fn undrawn(&self) -> Vec<bool> {
        let alone = |s: &super::Stage| s.choice.is_none() && s.probability >= 1.0;
        self.stages.iter().map(alone).collect()
    }

    /// Which stages of one request run, by place.
    ///
    /// `uniform` gives numbers in [0, 1); it is asked equally often for every request.
    pub fn runs(&self, mut uniform: impl FnMut() -> f64) -> Vec<bool> {
        let mut runs = self.undrawn();
        for draw in self.draws() {
            let mut left = uniform();
            for (place, chance) in draw {
                if left < chance {
                    runs[place] = true;
                    break;
                }
                left -= chance;
            }
        }
        self.spread(runs)
    }

    /// Every way that a request may take, with its probability; `None` where there are more than
    /// 4,096.
    #[must_use]
    pub fn outcomes(&self) -> Option<Vec<Outcome>> {
        let mut outcomes = vec![Outcome {
            probability: 1.0,
            runs: self.undrawn(),
        }];
        for draw in self.draws() {
            let rest = 1.0 - draw.iter().map(|(_, p)| p).sum::<f64>();
            let mut ways: Vec<(Option<usize>, f64)> =
                draw.iter().map(|(place, p)| (Some(*place), *p)).collect();
            // Decimals that should add up to 1 leave a rest that is only rounding.
            if rest > 1e-9 {
                ways.push((None, rest));
            }
            if outcomes.len() * ways.len() > OUTCOMES_MAX {
                return None;
            }
            let mut longer = Vec::with_capacity(outcomes.len() * ways.len());
            for outcome in &outcomes {
                for (place, chance) in &ways {
                    let mut next = outcome.clone();
                    next.probability *= chance;
                    if let Some(place) = place {
                        next.runs[*place] = true;
                    }
                    longer.push(next);
                }
            }
            outcomes = longer;
        }
        for outcome in &mut outcomes {
            outcome.runs = self.spread(std::mem::take(&mut outcome.runs));
        }
        Some(outcomes)
    }
}
