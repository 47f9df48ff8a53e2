//! What a search came to, told: a page for people, JSON, a table of the trials, a figure.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use foresail_adapters::atomic::{MARKER, ResultsFolder};
use foresail_adapters::results::{Column, Table, six_digits};
use foresail_core::propose::plan::Plan;
use foresail_core::value::workflow::Size;
use foresail_sim::workflow::bound::{Bound, Method};
use foresail_sim::workflow::subject::Subject;
use foresail_web::figure::Figure;
use foresail_web::page::study::{Section, StudyPage, TextTable, render};
use foresail_web::page::text::number;
use foresail_web::png;
use foresail_web::search::{Trial, search};
use serde_json::{Value, json};

use super::found::{Conclusion, End, Found, Row};
use super::measure::{Ended, Measured, Protocol, THOUSAND};
use crate::cli::print_table;

/// Files of the folder, beside the figure.
const FILES: [&str; 6] = [
    "index.html",
    MARKER,
    "trials.csv",
    "best.json",
    "search.svg",
    "search.png",
];

/// A search that is over, with everything that is told of it.
#[derive(Debug)]
pub struct Report<'a> {
    /// What was searched.
    pub subject: &'a Subject,
    /// How it was measured.
    pub protocol: &'a Protocol,
    /// What it came to.
    pub found: &'a Found,
    /// Who asked for the trials.
    pub tuner: &'a str,
    /// The seed.
    pub seed: u64,
    /// What the cheapest possible plan costs, where that is known.
    pub bound: Option<&'a Bound>,
    /// Measurements that the tuner did not take as they came.
    pub doubts: Vec<String>,
    /// The command, without places of this machine.
    pub command: String,
}

impl Report<'_> {
    /// The sizes of a plan, by stage.
    fn sizes(&self, plan: &Plan) -> Vec<Size> {
        self.subject.sizes_of(plan).unwrap_or_default()
    }

    /// What the plan in force came to, as it was measured last.
    fn in_force(&self) -> Option<&Measured> {
        let found = self.found;
        let of_rows = || {
            let mut rows = found.rows.iter().rev();
            rows.find(|r| r.plan == found.in_force).map(|r| &r.measured)
        };
        match found.conclusion {
            Conclusion::Best => found.confirmed.as_ref(),
            Conclusion::Unconfirmed => of_rows(),
            _ => found.former_measured.as_ref(),
        }
    }

    /// The bound in cost per thousand requests.
    fn bound_cost(&self) -> Option<f64> {
        self.bound.map(|b| THOUSAND * b.cost)
    }

    /// What is in force and why, in one sentence.
    #[must_use]
    pub fn headline(&self) -> String {
        let promise = self.promise();
        match self.found.conclusion {
            Conclusion::Best => {
                format!("The best is in force: it kept {promise} when it was measured again.")
            }
            Conclusion::Unconfirmed => format!(
                "The best is in force: it kept {promise} in its trials; no money was left to measure it again."
            ),
            Conclusion::FormerIsBest | Conclusion::NoneKept if self.found.rows.is_empty() => {
                self.untried()
            }
            Conclusion::FormerIsBest => format!(
                "The former setting stays: it keeps {promise} and nothing that was found to keep it is cheaper."
            ),
            Conclusion::NoneKept => format!(
                "No trial kept {promise}; the former setting is in force. {}",
                self.nearest()
            ),
            Conclusion::Broke => format!(
                "What kept {promise} in its trials broke it when it was measured again; the former setting is in force. {}",
                self.nearest()
            ),
            Conclusion::Interrupted => {
                "Interrupted: the former setting is in force again; run the same command with its --journal to go on."
                    .to_owned()
            }
        }
    }

    /// The spend cap ended the search before any trial was measured to its end.
    fn untried(&self) -> String {
        let Some(former) = &self.found.former_measured else {
            return "The former setting stays, and nothing is known of it: the spend cap ended the search while it was measured; raise --spend-cap."
                .to_owned();
        };
        let stands = if former.kept(self.protocol.promise) {
            "keeps"
        } else {
            "breaks"
        };
        format!(
            "The former setting stays: it {stands} {}, and the spend cap ended the search before any trial was measured; raise --spend-cap.",
            self.promise()
        )
    }

    /// The best that was found, where none is good.
    fn nearest(&self) -> String {
        let Some(best) = &self.found.best else {
            return "Nothing was measured.".to_owned();
        };
        let seconds = best.excess + self.protocol.promise.seconds;
        format!(
            "The best found takes {} s at {} per 1,000 requests: {}.",
            number(seconds, 3),
            number(best.objective, 4),
            self.told_sizes(&best.plan)
        )
    }

    fn told_sizes(&self, plan: &Plan) -> String {
        let stages = self.subject.model.workflow.stages().iter();
        let sizes = self.sizes(plan);
        let one = stages.zip(&sizes).map(|(stage, size)| {
            format!(
                "{} {} cores {} MiB",
                stage.name, size.cpu_cores, size.memory_mib
            )
        });
        one.collect::<Vec<_>>().join(", ")
    }

    fn promise(&self) -> String {
        let promise = self.protocol.promise;
        let percent = (promise.level * 1e8).round() / 1e6;
        format!("p{percent} ≤ {} s", promise.seconds)
    }

    /// How a measurement stands to the promise.
    fn told(&self, measured: &Measured) -> String {
        let kept = if measured.kept(self.protocol.promise) {
            "kept"
        } else {
            "broken"
        };
        let latency = measured.latency.map_or_else(
            || "no answer".to_owned(),
            |l| {
                let least = if measured.ended == Ended::Aborted {
                    "at least "
                } else {
                    ""
                };
                format!("{least}{} s", number(l, 3))
            },
        );
        let cost = measured
            .cost
            .map_or_else(|| "unknown".to_owned(), |c| number(c, 4));
        format!("{cost} per 1,000 requests, {latency} ({kept})")
    }

    /// Sentences below the table of the stages.
    fn notes(&self) -> Vec<String> {
        let found = self.found;
        let mut notes = Vec::new();
        if let Some(former) = &found.former_measured {
            notes.push(format!("former: {}", self.told(former)));
        }
        if let Some(best) = &found.best {
            let (seconds, kind) = (
                best.excess + self.protocol.promise.seconds,
                if best.feasible { "best" } else { "nearest" },
            );
            notes.push(format!(
                "{kind}: {} per 1,000 requests, {} s in its trials",
                number(best.objective, 4),
                number(seconds, 3)
            ));
        }
        if let Some(again) = &found.confirmed {
            notes.push(format!("measured again: {}", self.told(again)));
        }
        notes.extend(self.savings());
        notes.extend(self.gap());
        notes.push(format!(
            "{} trials by {}, {} requests, {} spent{}",
            found.rows.len(),
            self.tuner,
            found.requests + found.cut.requests,
            number(found.spend_whole(), 4),
            if found.end == End::Spent {
                ": the spend cap ended the search"
            } else {
                ""
            }
        ));
        notes.extend(self.doubts.iter().cloned());
        notes
    }

    fn savings(&self) -> Option<String> {
        let former = self.found.former_measured.as_ref()?.cost?;
        let now = self.in_force()?.cost?;
        let percent = 100.0 * (former - now) / former;
        matches!(
            self.found.conclusion,
            Conclusion::Best | Conclusion::Unconfirmed
        )
        .then(|| {
            if percent >= 0.0 {
                format!("saves {} % of the former cost", number(percent, 1))
            } else {
                format!(
                    "costs {} % more than the former setting",
                    number(-percent, 1)
                )
            }
        })
    }

    fn gap(&self) -> Option<String> {
        let bound = self.bound?;
        let least = self.bound_cost()?;
        let how = match bound.method {
            Method::Exact => "the optimum".to_owned(),
            Method::Rounded { slack_seconds } => {
                format!("times rounded by {} s at most", six_digits(slack_seconds))
            }
            Method::Multipliers => "by multipliers".to_owned(),
        };
        let above = self
            .in_force()
            .and_then(|m| m.cost)
            .map_or_else(String::new, |cost| {
                format!(
                    ", {} % below what is in force",
                    number(100.0 * (1.0 - least / cost), 1)
                )
            });
        let number = number(least, 4);
        Some(format!(
            "without noise no sizes that keep the promise cost less than {number} ({how}){above}"
        ))
    }

    /// The stages with their sizes before and now.
    fn stages(&self) -> TextTable {
        let (former, now) = (
            self.sizes(&self.found.former),
            self.sizes(&self.found.in_force),
        );
        let measured = self.in_force();
        let rows = self.subject.model.workflow.stages().iter().enumerate();
        let rows = rows.map(|(i, stage)| {
            let mib = |s: &Size| number(s.memory_mib, 0);
            let cpu = |s: &Size| six_digits(s.cpu_cores);
            let critical = measured.and_then(|m| m.critical.get(i));
            vec![
                stage.name.clone(),
                former.get(i).map_or_else(String::new, cpu),
                former.get(i).map_or_else(String::new, mib),
                now.get(i).map_or_else(String::new, cpu),
                now.get(i).map_or_else(String::new, mib),
                critical.map_or_else(String::new, |c| number(100.0 * c, 0)),
            ]
        });
        TextTable {
            columns: ["stage", "cpu was", "MiB was", "cpu", "MiB", "critical %"]
                .map(str::to_owned)
                .to_vec(),
            rows: rows.collect(),
            prose: false,
        }
    }

    /// For people.
    ///
    /// # Errors
    /// What the writer gives.
    pub fn print(&self, out: &mut dyn Write) -> Result<()> {
        writeln!(
            out,
            "{}: {}, seed {}\n",
            self.subject.name(),
            self.promise(),
            self.seed
        )?;
        let table = self.stages();
        let columns: Vec<&str> = table.columns.iter().map(String::as_str).collect();
        print_table(&columns, table.rows, out)?;
        writeln!(out, "\n{}", self.headline())?;
        for note in self.notes() {
            writeln!(out, "{note}")?;
        }
        Ok(())
    }

    fn plan_value(&self, plan: &Plan) -> Value {
        let stages = self.subject.model.workflow.stages().iter();
        let sizes = self.sizes(plan);
        let one = stages.zip(sizes).map(|(stage, size)| {
            json!({"stage": stage.name, "cpuCores": size.cpu_cores, "memoryMib": size.memory_mib})
        });
        one.collect()
    }

    /// For programs.
    #[must_use]
    pub fn value(&self) -> Value {
        let found = self.found;
        let promise = self.protocol.promise;
        let conclusion = format!("{:?}", found.conclusion);
        json!({
            "v": 1,
            "workflow": self.subject.name(),
            "qosSeconds": promise.seconds,
            "percentile": 100.0 * promise.level,
            "tuner": self.tuner,
            "seed": self.seed,
            "conclusion": conclusion,
            "headline": self.headline(),
            "kept": self.in_force().map(|m| m.kept(promise)),
            "inForce": self.plan_value(&found.in_force),
            "former": self.plan_value(&found.former),
            "formerMeasured": found.former_measured,
            "best": found.best.as_ref().map(|b| json!({
                "plan": self.plan_value(&b.plan),
                "costPer1000": b.objective,
                "latencySeconds": b.excess + promise.seconds,
                "feasible": b.feasible,
            })),
            "measuredAgain": found.confirmed,
            "boundPer1000": self.bound_cost(),
            "trials": found.rows.len(),
            "requests": found.requests + found.cut.requests,
            "spend": found.spend_whole(),
            "doubts": self.doubts,
        })
    }

    /// The trials, one per row.
    #[must_use]
    pub fn table(&self) -> Table {
        let rows = &self.found.rows;
        let real = |of: &dyn Fn(&Row) -> Option<f64>| Column::Real(rows.iter().map(of).collect());
        let int = |of: &dyn Fn(&Row) -> u64| {
            Column::Int(rows.iter().map(|r| i64::try_from(of(r)).ok()).collect())
        };
        let text =
            |of: &dyn Fn(&Row) -> String| Column::Text(rows.iter().map(|r| Some(of(r))).collect());
        let promise = self.protocol.promise;
        let mut columns = vec![
            ("trial".to_owned(), int(&|r| r.number)),
            ("cost_per_1000".to_owned(), real(&|r| r.measured.cost)),
            ("latency_seconds".to_owned(), real(&|r| r.measured.latency)),
            (
                "kept".to_owned(),
                text(&|r| r.measured.kept(promise).to_string()),
            ),
            (
                "ended".to_owned(),
                text(&|r| format!("{:?}", r.measured.ended).to_lowercase()),
            ),
            ("requests".to_owned(), int(&|r| r.measured.requests)),
            ("lost".to_owned(), int(&|r| r.measured.lost)),
            ("spend".to_owned(), real(&|r| Some(r.measured.spend))),
        ];
        for (i, stage) in self.subject.model.workflow.stages().iter().enumerate() {
            let size = |r: &Row| self.sizes(&r.plan).get(i).copied();
            let cpu = real(&|r| size(r).map(|s| s.cpu_cores));
            let memory = real(&|r| size(r).map(|s| s.memory_mib));
            columns.push((format!("{}_cpu_cores", stage.name), cpu));
            columns.push((format!("{}_memory_mib", stage.name), memory));
        }
        Table { columns }
    }

    fn figure(&self) -> Figure {
        let trial = |row: &Row| Trial {
            number: row.number,
            cost: row.measured.cost.unwrap_or(f64::NAN),
            kept: row.measured.kept(self.protocol.promise),
            title: format!("trial {}: {}", row.number, self.told(&row.measured)),
        };
        let trials: Vec<Trial> = self.found.rows.iter().map(trial).collect();
        let former = self.found.former_measured.as_ref().and_then(|m| m.cost);
        let levels = [("former", former), ("bound", self.bound_cost())];
        let levels: Vec<_> = levels
            .into_iter()
            .filter_map(|(n, v)| Some((n, v?)))
            .collect();
        let title = format!("Search for the sizes of {}", self.subject.name());
        search("search", &title, &trials, &levels)
    }

    /// Begins the folder: what a search left there before is replaced as a whole.
    ///
    /// # Errors
    /// Where the place cannot be written or holds something else.
    pub fn begin(folder: &Path) -> Result<ResultsFolder> {
        Ok(ResultsFolder::begin_of(folder, &|name| {
            FILES.contains(&name)
        })?)
    }

    /// Writes every file.
    ///
    /// # Errors
    /// Where a file cannot be written or the figure not be drawn.
    pub fn write(&self, folder: ResultsFolder) -> Result<()> {
        let table = self.table();
        folder.write("trials.csv", |w| table.write_csv(w))?;
        let best = serde_json::to_vec_pretty(&self.value())?;
        folder.write("best.json", |w| w.write_all(&best))?;
        let figure = self.figure();
        let svg = figure.drawing.standalone(&figure.title);
        let picture = png::render(&svg, &png::fonts()).context("the figure could not be drawn")?;
        folder.write("search.svg", |w| w.write_all(svg.as_bytes()))?;
        folder.write("search.png", |w| w.write_all(&picture))?;
        let page = StudyPage {
            title: format!("Sizes of {}", self.subject.name()),
            headline: self.headline(),
            notes: self.notes(),
            sections: vec![Section {
                title: "Stages".to_owned(),
                notes: Vec::new(),
                table: Some(self.stages()),
                figures: vec![figure],
            }],
            command: self.command.clone(),
        };
        folder.write("index.html", |w| w.write_all(render(&page).as_bytes()))?;
        let marker = format!("{{\"v\":1,\"command\":{}}}\n", json!(self.command));
        folder.write(MARKER, |w| w.write_all(marker.as_bytes()))?;
        Ok(folder.commit()?)
    }
}
