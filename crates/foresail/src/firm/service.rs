//! The two services: messages in, a component's pilot, messages out.

use std::collections::BTreeMap;
use std::sync::Arc;

use foresail_adapters::rpc::environment::environment_server::Environment;
use foresail_adapters::rpc::environment::{Component, Description, Executed, Seen, Wish};
use foresail_adapters::rpc::interaction::interaction_server::Interaction;
use foresail_adapters::rpc::interaction::{ComponentId, Other, ToClientMessage, ToServerMessage};
use foresail_adapters::rpc::tonic::{self, Request, Response, Status};
use foresail_adapters::rpc::{OK, REQUEST_KEY};

use super::pilot::{Pilot, Told, Trouble, Wanted};
use super::place::Place;
use super::wire;

/// The longest number of a step, in bytes.
const REQUEST_BYTES_MAX: usize = 128;

/// Every component that is served; cheap to clone.
#[derive(Debug)]
pub struct Firm<P>(Arc<BTreeMap<String, Arc<Pilot<P>>>>);

impl<P> Clone for Firm<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Place> Firm<P> {
    /// Serves these.
    #[must_use]
    pub fn new(pilots: impl IntoIterator<Item = Pilot<P>>) -> Self {
        let named = pilots
            .into_iter()
            .map(|p| (p.name().to_owned(), Arc::new(p)));
        Self(Arc::new(named.collect()))
    }

    fn pilot(&self, id: &str) -> Result<Arc<Pilot<P>>, String> {
        self.0.get(id).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            format!("no component of this id; served are {}", known.join(", "))
        })
    }

    /// A step in a task of its own: what was begun is finished though nobody waits any more.
    async fn step(
        pilot: Arc<Pilot<P>>,
        request: String,
        wanted: Wanted,
    ) -> Result<Executed, Trouble> {
        let task = tokio::spawn(async move { pilot.step(&request, &wanted).await });
        match task.await {
            Ok(stepped) => stepped,
            Err(error) => Err(Trouble::Away(format!("the step broke down: {error}"))),
        }
    }
}

fn not_found(why: String) -> Status {
    Status::not_found(why)
}

fn bad(why: &str) -> Status {
    Status::invalid_argument(why)
}

#[tonic::async_trait]
impl<P: Place> Environment for Firm<P> {
    async fn describe(&self, request: Request<Component>) -> Result<Response<Description>, Status> {
        let pilot = self.pilot(&request.get_ref().id).map_err(not_found)?;
        Ok(Response::new(pilot.description()))
    }

    async fn look(&self, request: Request<Component>) -> Result<Response<Seen>, Status> {
        let pilot = self.pilot(&request.get_ref().id).map_err(not_found)?;
        Ok(Response::new(pilot.look().await?))
    }

    async fn step(&self, request: Request<Wish>) -> Result<Response<Executed>, Status> {
        let wish = request.into_inner();
        let pilot = self.pilot(&wish.id).map_err(not_found)?;
        if wish.request.is_empty() || wish.request.len() > REQUEST_BYTES_MAX {
            return Err(bad(
                "a step needs a number of its own of 1 to 128 bytes in `request`",
            ));
        }
        let wanted = match wish.wishes {
            false => Wanted::Nothing,
            true => {
                let moves = wire::moves_of(&wish.moves);
                Wanted::Moves(moves.ok_or_else(|| bad("a move is none of HOLD, UP, DOWN"))?)
            }
        };
        Ok(Response::new(
            Self::step(pilot, wish.request, wanted).await?,
        ))
    }
}

/// What a component is, in the published message.
fn message(id: &str, told: &Told, status: String) -> ToClientMessage {
    ToClientMessage {
        name: None,
        node: None,
        id: id.to_owned(),
        usage: wire::usage(told.cpu, told.memory),
        limit: wire::limit(&told.setting),
        other: Other {
            slo_retainment: told.preserved as f32,
            curr_arrival_rate: wire::rate(told.demand),
            rate_ratio: told.rate_ratio.map_or(f32::NAN, |r| r as f32),
            percentages: Vec::new(),
        },
        status,
    }
}

/// As [`Firm::told`] says it, with what an action came to where there was one.
impl<P: Place> Firm<P> {
    async fn answer(
        &self,
        id: &str,
        names: (Option<String>, Option<String>),
        acted: Option<String>,
    ) -> ToClientMessage {
        let mut message = match self.pilot(id) {
            Err(why) => wire::unknown(id, format!("UNKNOWN: {why}")),
            Ok(pilot) => match pilot.told().await {
                Err(trouble) => wire::unknown(id, format!("UNAVAILABLE: {trouble}")),
                Ok(told) => {
                    let measured = told.trouble.clone().map(|why| format!("INCOMPLETE: {why}"));
                    let status = acted.or(measured).unwrap_or_else(|| OK.to_owned());
                    message(id, &told, status)
                }
            },
        };
        (message.name, message.node) = names;
        message
    }
}

#[tonic::async_trait]
impl<P: Place> Interaction for Firm<P> {
    async fn get_state(
        &self,
        request: Request<ComponentId>,
    ) -> Result<Response<ToClientMessage>, Status> {
        let ComponentId { name, node, id } = request.into_inner();
        Ok(Response::new(self.answer(&id, (name, node), None).await))
    }

    async fn perform_action(
        &self,
        request: Request<ToServerMessage>,
    ) -> Result<Response<ToClientMessage>, Status> {
        let number = request.metadata().get(REQUEST_KEY);
        let number = number.and_then(|n| n.to_str().ok()).unwrap_or("");
        if number.len() > REQUEST_BYTES_MAX {
            return Err(bad("x-foresail-request: more than 128 bytes"));
        }
        let number = number.to_owned();
        let ToServerMessage {
            name,
            node,
            id,
            action,
        } = request.into_inner();
        let acted = match (wire::wished(&action), self.pilot(&id)) {
            (_, Err(_)) => None,
            (Err(why), Ok(_)) => Some(format!("ILLEGAL: {why}")),
            (Ok(wish), Ok(pilot)) => {
                match Self::step(pilot, number, Wanted::Requests(wish)).await {
                    Ok(executed) => Some(executed.status),
                    Err(Trouble::Away(why)) => Some(format!("UNAVAILABLE: {why}")),
                    Err(Trouble::Bad(why)) => Some(format!("ILLEGAL: {why}")),
                }
            }
        };
        let names = (Some(name), Some(node));
        Ok(Response::new(self.answer(&id, names, acted).await))
    }
}
