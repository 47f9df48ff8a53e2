//! Prints the table of docs/validation.md: fluid mode beside event mode, by workload and policy.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "printing is what this program is for"
)]

#[path = "../tests/support/fluid_cases.rs"]
mod cases;

use cases::Figures;
use rayon::prelude::*;

fn main() {
    let pairs: Vec<_> = cases::items()
        .into_iter()
        .flat_map(|item| {
            let policies = cases::policies(&item);
            policies.into_iter().map(move |p| (item.clone(), p))
        })
        .collect();
    let rows: Vec<_> = pairs
        .par_iter()
        .map(|(item, policy)| cases::row(item, policy))
        .collect();
    println!(
        "| workload | policy | broke the promise % (event, fluid, with backlog) | cost (event, fluid, with backlog; errors %) | \
         replica·min (event, fluid, with backlog) | changes (event, fluid, with backlog) |"
    );
    println!("|---|---|---|---|---|---|");
    for r in rows {
        let Figures {
            cost,
            replica_minutes,
            actions,
            violations_percent,
        } = r.event;
        println!(
            "| {} | {} | {violations_percent:.2}, {:.2}, {:.2} | {cost:.3}, {:.3}, {:.3}; {:+.1}, {:+.1} | {replica_minutes:.0}, {:.0}, {:.0} | {actions}, {}, {} |",
            r.workload,
            r.policy,
            r.fluid.violations_percent,
            r.backlog.violations_percent,
            r.fluid.cost,
            r.backlog.cost,
            (r.fluid.cost / cost - 1.0) * 100.0,
            (r.backlog.cost / cost - 1.0) * 100.0,
            r.fluid.replica_minutes,
            r.backlog.replica_minutes,
            r.fluid.actions,
            r.backlog.actions,
        );
    }
}
