//! The flags of what is really there: which provider, where it is, and what it is called with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, ValueEnum};
use foresail_adapters::access::{Access, Token};
use foresail_adapters::kubernetes::client::{Clients, Place};
use foresail_adapters::kubernetes::functions::{Functions as Deployments, Options, Way};
use foresail_adapters::openwhisk::OpenWhisk;
use foresail_adapters::openwhisk::client::Tell;
use foresail_adapters::openwhisk::functions::{Called, Functions as Actions, Stems};
use foresail_adapters::openwhisk::key::{Key, Properties};
use foresail_adapters::openwhisk::kinds::Source;
use foresail_adapters::openwhisk::runtimes::Manifest;
use foresail_adapters::provider::Stop;
use foresail_adapters::service::Service;
use foresail_core::quantity::time::Span;

use crate::compare::prometheus::{AccessArgs, runtime};
use crate::config::{Environment, Settings, Strings};
use crate::exit::{Code, Coded};
use crate::interrupt;
use crate::live::LiveWorkflow;

/// What runs the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProviderName {
    /// The simulator
    Simulated,
    /// OpenWhisk by its REST API
    Openwhisk,
    /// Deployments of a Kubernetes namespace
    Kubernetes,
}

/// What runs the functions, and how it is reached.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Live")]
pub struct ProviderArgs {
    /// What runs the functions [default: simulated]
    #[arg(long, value_enum, value_name = "NAME")]
    pub provider: Option<ProviderName>,
    /// Read what is there, tell what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// A workflow's address (Kubernetes): each request is a POST of its parameters, whose answer tells
    /// the stages in `Server-Timing`
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// File with the bearer token for --url
    #[arg(long, value_name = "FILE", requires = "url")]
    url_token_file: Option<PathBuf>,
    #[command(flatten)]
    openwhisk: OpenWhiskArgs,
    #[command(flatten)]
    kubernetes: KubernetesArgs,
    #[command(flatten)]
    access: AccessArgs,
}

/// Flags of OpenWhisk.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "OpenWhisk")]
struct OpenWhiskArgs {
    /// Address of OpenWhisk [default: __OW_API_HOST, or APIHOST of the properties file]
    #[arg(long, value_name = "URL")]
    apihost: Option<String>,
    /// File with the key: user:password alone, or properties as ~/.wskprops has them [default:
    /// __OW_API_KEY, the file that WSK_CONFIG_FILE names, ~/.wskprops]
    #[arg(long, value_name = "FILE")]
    auth_file: Option<PathBuf>,
    /// The action that is called as the workflow [default: the workflow's name, or its one function]
    #[arg(long, value_name = "NAME")]
    action: Option<String>,
    /// Create the sequence of the workflow's functions first, or replace it
    #[arg(long)]
    create_sequence: bool,
    /// Create a function from a source first, or replace its code; may be repeated
    #[arg(long, value_name = "NAME=FILE", value_parser = source)]
    create_function: Vec<(String, PathBuf)>,
    /// Runtime of --create-function: a kind that the server has, or a family for its default kind
    /// [default: the family that the file's ending means]
    #[arg(long, value_name = "KIND", requires = "create_function")]
    kind: Option<String>,
    /// Entry of --create-function, where its kind needs one
    #[arg(long, value_name = "NAME", requires = "create_function")]
    main: Option<String>,
    /// The runtimes manifest in force; pools are its stem cells (needs a build with #4790)
    #[arg(long, value_name = "FILE", requires = "admin_auth_file")]
    runtimes_manifest: Option<PathBuf>,
    /// File with the controller's own user:password, for the manifest
    #[arg(long, value_name = "FILE")]
    admin_auth_file: Option<PathBuf>,
    /// Managed invokers: each keeps the manifest's counts for itself
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    invokers: u32,
}

/// Flags of Kubernetes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Kubernetes")]
struct KubernetesArgs {
    /// Namespace, of OpenWhisk's too [default: that of the context, or of the key]
    #[arg(long, short = 'n', value_name = "NAME")]
    namespace: Option<String>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The kubeconfig [default: KUBECONFIG, that of the user, or the pod's own account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How sizes are set: auto is in place where the server has it, else by a rollout
    #[arg(long, value_enum, value_name = "WAY", default_value_t = WayArg::Auto)]
    resize: WayArg,
    /// The container that has the size [default: the first]
    #[arg(long, value_name = "NAME")]
    container: Option<String>,
    /// How long a change may take until every pod has it
    #[arg(long, value_name = "SPAN", default_value = "120s")]
    apply_timeout: Span,
    /// The most containers of a function that were busy at once in a minute, as PromQL that gives one
    /// series; {function} and {namespace} stand for names
    #[arg(long, value_name = "PROMQL")]
    busy_query: Option<String>,
}

/// How a cluster and Prometheus are reached.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Namespace; absent = that of the context.
    pub namespace: Option<String>,
    /// Context of the kubeconfig; absent = its current one.
    pub context: Option<String>,
    /// The kubeconfig; absent = the usual ones.
    pub kubeconfig: Option<PathBuf>,
    /// Prometheus.
    pub access: AccessArgs,
}

fn source(text: &str) -> Result<(String, PathBuf), String> {
    let parts = text.split_once('=');
    let parts = parts.filter(|(name, file)| !name.is_empty() && !file.is_empty());
    let (name, file) = parts.ok_or("write NAME=FILE, such as resize=resize.js")?;
    Ok((name.to_owned(), PathBuf::from(file)))
}

/// How sizes are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WayArg {
    /// In place where the server has it
    Auto,
    /// In place, or not at all
    InPlace,
    /// By another template
    Rollout,
}

/// A provider that is there.
#[derive(Debug)]
pub enum Found {
    /// OpenWhisk.
    OpenWhisk(Box<Actions>),
    /// Kubernetes.
    Kubernetes(Box<Deployments>),
}

impl ProviderArgs {
    /// The provider where it is not the simulator.
    #[must_use]
    pub fn live(&self) -> Option<ProviderName> {
        self.provider.filter(|p| *p != ProviderName::Simulated)
    }

    /// How the cluster and Prometheus are reached.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let flags = &self.kubernetes;
        Reach {
            namespace: flags.namespace.clone(),
            context: flags.context.clone(),
            kubeconfig: flags.kubeconfig.clone(),
            access: self.access.clone(),
        }
    }

    /// Refuses flags that only a live provider has.
    ///
    /// # Errors
    /// Where one is given without it.
    pub fn check_simulated(&self) -> Result<()> {
        let given = [
            (self.dry_run, "--dry-run"),
            (self.url.is_some(), "--url"),
            (self.openwhisk.apihost.is_some(), "--apihost"),
            (self.kubernetes.namespace.is_some(), "--namespace"),
            (self.kubernetes.context.is_some(), "--context"),
            (self.kubernetes.kubeconfig.is_some(), "--kubeconfig"),
            (self.access.prometheus.is_some(), "--prometheus"),
        ];
        match given.iter().find(|(is_there, _)| *is_there) {
            Some((_, flag)) => {
                bail!("{flag} needs --provider openwhisk or --provider kubernetes")
            }
            None => Ok(()),
        }
    }

    /// Where the functions are, for files that must not be taken for another place's.
    #[must_use]
    pub fn place(&self) -> String {
        let namespace = self.kubernetes.namespace.as_deref().unwrap_or("_");
        match self.live() {
            Some(ProviderName::Openwhisk) => {
                let host = self.properties().ok().and_then(|p| p.host);
                format!("openwhisk {} {namespace}", host.unwrap_or_default())
            }
            Some(ProviderName::Kubernetes) => {
                let context = self.kubernetes.context.as_deref().unwrap_or("current");
                format!("kubernetes {context} {namespace}")
            }
            _ => "simulated".to_owned(),
        }
    }

    fn dry(&self) -> Option<Tell> {
        let tell = |text: &str| eprintln!("dry run: {text}");
        self.dry_run.then(|| Arc::new(tell) as Tell)
    }

    fn file(path: &Path) -> Result<String> {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// What the flags, the environment and the properties file tell, in this order.
    fn properties(&self) -> Result<Properties> {
        let flags = &self.openwhisk;
        let given = Properties {
            host: flags.apihost.clone(),
            key: None,
            namespace: self.kubernetes.namespace.clone(),
        };
        let of = |name: &str| Environment.get(name).filter(|v| !v.is_empty());
        if let Some(path) = &flags.auth_file {
            let file = Properties::read(path)?;
            return Ok(given.or(file).or(Properties::of_environment(of)?));
        }
        let all = given.or(Properties::of_environment(of)?);
        let path = of("WSK_CONFIG_FILE").map(PathBuf::from);
        let home = of("HOME").map(|home| PathBuf::from(home).join(".wskprops"));
        match path.or_else(|| home.filter(|p| p.exists())) {
            Some(path) => Ok(all.or(Properties::read(&path)?)),
            None => Ok(all),
        }
    }

    fn server(&self) -> Result<OpenWhisk> {
        let told = self.properties()?;
        let host = told
            .host
            .context("no address of OpenWhisk: pass --apihost URL, or set __OW_API_HOST")?;
        let host = match host.contains("://") {
            true => host,
            // As its own tools take it.
            false => format!("https://{host}"),
        };
        let key = told.key.context(
            "no key of OpenWhisk: pass --auth-file FILE with user:password, or set __OW_API_KEY",
        )?;
        let mut access = Access::to_openwhisk(&host);
        access.ca_file.clone_from(&self.access.ca_file);
        access.plain_http = self.access.plain_http;
        if let Some(timeout) = self.access.query_timeout {
            ensure!(
                timeout > Span::ZERO,
                "--query-timeout {timeout}: must be above 0"
            );
            access.timeout = Duration::from_nanos(timeout.nanos().unsigned_abs());
        }
        let namespace = told.namespace.unwrap_or_else(|| "_".to_owned());
        let server = OpenWhisk::new(&access, key, &namespace)?;
        Ok(match self.dry() {
            Some(tell) => server.dry(tell),
            None => server,
        })
    }

    fn stems(&self) -> Result<Option<Stems>> {
        let flags = &self.openwhisk;
        let (Some(path), Some(admin)) = (&flags.runtimes_manifest, &flags.admin_auth_file) else {
            return Ok(None);
        };
        let manifest = Manifest::parse(&Self::file(path)?);
        let manifest = manifest.map_err(|e| anyhow!("{}: {e}", path.display()))?;
        let admin = Key::parse(&Self::file(admin)?, &admin.display().to_string())?;
        Ok(Some(Stems {
            manifest,
            admin,
            invokers: flags.invokers,
        }))
    }

    fn sources(&self) -> Result<Vec<Source>> {
        let flags = &self.openwhisk;
        let read = |(name, path): &(String, PathBuf)| {
            let bytes = std::fs::read(path);
            let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
            Ok(Source {
                name: name.clone(),
                file: path.display().to_string(),
                bytes,
                kind: flags.kind.clone(),
                main: flags.main.clone(),
            })
        };
        flags.create_function.iter().map(read).collect()
    }

    /// The functions where they are; `workflow` is what is called.
    ///
    /// # Errors
    /// Where the flags do not say enough, or say what the provider cannot do.
    pub fn find(
        &self,
        functions: Vec<String>,
        workflow: Option<&LiveWorkflow>,
        settings: &Settings,
    ) -> Result<Found> {
        match self.live() {
            Some(ProviderName::Openwhisk) => {
                let actions = self.actions(functions, workflow)?;
                Ok(Found::OpenWhisk(Box::new(actions)))
            }
            Some(ProviderName::Kubernetes) => {
                let deployments = self.deployments(functions, workflow, settings)?;
                Ok(Found::Kubernetes(Box::new(deployments)))
            }
            _ => bail!("the simulator has no functions that are really there"),
        }
    }

    fn actions(&self, functions: Vec<String>, workflow: Option<&LiveWorkflow>) -> Result<Actions> {
        let actions = Actions::new(self.server()?, functions)?;
        let mut actions = actions.stopping(Stop::new(interrupt::asked));
        if let Some(stems) = self.stems()? {
            actions = actions.stems(stems);
        }
        for source in self.sources()? {
            actions.create_function(&source)?;
        }
        let Some(flow) = workflow else {
            return Ok(actions);
        };
        ensure!(
            flow.is_sequence(),
            "{}: OpenWhisk runs the actions of a sequence one after another, and this workflow has branches or copies: write its stages as `functions`, or take --provider kubernetes",
            flow.subject.name()
        );
        let action = match (&self.openwhisk.action, flow.stage_functions.as_slice()) {
            (Some(name), _) => name.clone(),
            (None, [one]) => one.clone(),
            (None, _) => flow.subject.name().to_owned(),
        };
        let mut actions = actions.called(Called {
            action,
            stages: flow.places(),
            parameters: flow.subject.params.clone(),
        });
        if self.openwhisk.create_sequence {
            actions.create_sequence()?;
        }
        Ok(actions)
    }

    fn deployments(
        &self,
        functions: Vec<String>,
        workflow: Option<&LiveWorkflow>,
        settings: &Settings,
    ) -> Result<Deployments> {
        let flags = &self.kubernetes;
        ensure!(
            flags.apply_timeout > Span::ZERO,
            "--apply-timeout {}: must be above 0",
            flags.apply_timeout
        );
        let busy = match &flags.busy_query {
            Some(query) => Some((self.access.connect(settings)?, query.clone())),
            None => None,
        };
        let service = match (&self.url, workflow) {
            (Some(url), Some(flow)) => Some((self.service(url, flow)?, stage_names(flow))),
            _ => None,
        };
        let place = Place {
            kubeconfig: flags.kubeconfig.clone(),
            context: flags.context.clone(),
        };
        let runtime = runtime()?;
        let clients = runtime.block_on(Clients::new(&place)).map_err(|e| Coded {
            code: Code::Unreachable,
            message: e.to_string(),
        })?;
        let namespace = flags.namespace.clone();
        let options = Options {
            namespace: namespace.unwrap_or_else(|| clients.namespace.clone()),
            container: flags.container.clone(),
            way: match flags.resize {
                WayArg::Auto => Way::Auto,
                WayArg::InPlace => Way::InPlace,
                WayArg::Rollout => Way::Rollout,
            },
            most: flags.apply_timeout,
            busy,
            service,
            dry: self.dry(),
            stop: Stop::new(interrupt::asked),
        };
        Ok(Deployments::new(runtime, clients, functions, options))
    }

    fn service(&self, url: &str, flow: &LiveWorkflow) -> Result<Service> {
        let mut access = Access::to_service(url);
        access.plain_http = self.access.plain_http;
        access.ca_file.clone_from(&self.access.ca_file);
        if let Some(path) = &self.url_token_file {
            access.token = Token::File(path.clone());
        }
        Ok(Service::new(access, flow.subject.params.clone())?)
    }
}

fn stage_names(flow: &LiveWorkflow) -> Vec<String> {
    let stages = flow.subject.model.workflow.stages().iter();
    stages.map(|s| s.name.clone()).collect()
}
