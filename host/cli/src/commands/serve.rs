//! `roughneck serve`: puts the host together, runs it, and takes it apart in order.

use std::{collections::BTreeMap, io::Write as _, path::Path, sync::Arc, time::Instant};

use anyhow::{Context, Result};
use prometheus_client::registry::Registry;
use roughneck_api::{App, Settings};
use roughneck_capabilities::{
    egress::Egress,
    webhook::{self, Webhooks},
};
use roughneck_engine::{Bells, Budgets, Engine};
use roughneck_jobs::{
    budget::Ledger,
    clock::Clock as _,
    ports::{backlog::Backlog, bell::Bell, budgets, catalog::Catalog, store::StoreError},
};
use roughneck_llm::Lane;
use roughneck_sandbox::Plugins;
use roughneck_store::SqliteStore;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    config::{Config, Overrides},
    host_id, logging,
    native::{self, Kinds, Native},
    open_files, private,
    signals::StopSignals,
    signing_secret,
    strangers::{self, Installed},
    system::System,
};

/// What the first line on standard output begins with; the host's URL follows. Scripts wait for it.
pub(crate) const READY: &str = "ready at ";

/// How the process ends after a second signal, or without its store.
const EXIT_AT_ONCE: i32 = 1;

/// Arguments of `roughneck serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    overrides: Overrides,
    /// How log lines look
    #[arg(long, env = "ROUGHNECK_LOG_FORMAT", value_enum, default_value_t)]
    log_format: logging::Format,
    /// Serve the kinds of the benchmark too
    #[arg(long, hide = true)]
    bench_kinds: bool,
}

impl Arguments {
    /// The native plugins that were asked for.
    fn natives(&self) -> Result<Vec<Native>> {
        let bench = self.bench_kinds.then(native::bench::native);
        Ok(bench.transpose()?.into_iter().collect())
    }
}

/// Runs the host until it is asked to stop.
///
/// # Errors
/// Why it cannot start, in a sentence that says what to do.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let started = Instant::now();
    let config = Config::load_to_serve(&arguments.overrides)?;
    let natives = arguments.natives()?;
    logging::start(arguments.log_format)?;
    install_tls();
    // Before the data folder is touched: two signals of the operator must never be missed.
    let mut stop = StopSignals::listen()?;

    let connections_max = open_files::take(config.server.connections_max()?);
    let listener = listen(&config).await?;
    let settings = settings(&config, connections_max)?;
    let host = tokio::select! {
        host = Host::start(&config, settings, listener, natives) => host?,
        // Nothing runs yet, so there is nothing to wait for: least of all for the plugin that is being compiled, as the runtime
        // would.
        () = stop.next() => std::process::exit(0),
    };
    announce(&host.url, &config, started);

    tokio::select! {
        () = stop.next() => info!("stopping; a second signal stops at once"),
        () = host.store.ended() => {
            error!("{}", StoreError::Dead);
            info!("this process ends, so that whoever looks after it starts it again; nothing that was accepted is lost");
            std::process::exit(EXIT_AT_ONCE);
        }
    }
    tokio::select! {
        stopped = host.stop(&config) => stopped,
        () = stop.next() => {
            warn!("stopped at once; running jobs run again after the next start");
            std::process::exit(EXIT_AT_ONCE);
        }
    }
}

/// Makes rustls use ring. Once for each process; a second call changes nothing.
pub(crate) fn install_tls() {
    // An error means that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

async fn listen(config: &Config) -> Result<TcpListener> {
    let address = config.server.address()?;
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "{address} is already in use; stop the program that has it, or choose another port with --listen {}:0",
            address.ip()
        ),
        _ => anyhow::Error::new(error).context(format!("{address} cannot be listened on")),
    })
}

fn announce(url: &str, config: &Config, started: Instant) {
    let data_dir = config.data_dir();
    info!(url, "ready after {} ms; data in {}", started.elapsed().as_millis(), data_dir.display());
    let mut out = std::io::stdout();
    // Nobody may be reading; the log says it too.
    let _ = writeln!(out, "{READY}{url}").and_then(|()| out.flush());
}

/// The parts of a running host.
struct Host {
    url: String,
    store: Arc<SqliteStore>,
    engine: Arc<Engine>,
    serving: JoinHandle<()>,
    /// Ends the HTTP surface.
    closing: CancellationToken,
    /// Stops the watch over Ollama.
    lane_stop: CancellationToken,
}

impl Host {
    async fn start(
        config: &Config,
        settings: Settings,
        listener: TcpListener,
        mut natives: Vec<Native>,
    ) -> Result<Self> {
        let system = Arc::new(System);
        let bells = Arc::new(Bells::default());
        let data_dir = config.data_dir();
        // It reads the certificates of the system, which takes about as long as opening the store. Webhooks do not wait for the
        // names that plugins look up.
        let [egress, webhooks_egress] = [(); 2].map(|()| tokio::task::spawn_blocking(Egress::new));
        let store = store(config, &data_dir, &bells).await?;
        let secret = signing_secret::load(&data_dir, &*system)?;
        let lane_stop = CancellationToken::new();
        let budgets = budgets(config, &store)?;
        let backlog = Arc::clone(&store) as _;
        let owner = Some(host_id::load(&data_dir, &*system)?);
        let ollama = roughneck_llm::Config { owner, ..config.ollama.lane()? };
        let lane = lane(ollama, &bells, Arc::clone(&budgets) as _, backlog, &lane_stop)?;
        let courier = Webhooks::new(webhooks(config, secret)?, webhooks_egress.await??);
        let capabilities = roughneck_capabilities::Ports {
            llm: Arc::clone(&lane) as _,
            kv: Arc::clone(&store) as _,
            egress: egress.await??,
            clock: Arc::clone(&system) as _,
        };
        natives.push(native::ollama_call::native(Arc::clone(&lane) as _)?);
        let plugins = plugins(config, &data_dir, &natives, capabilities).await?;
        let kinds = Arc::new(Kinds::new(natives, Arc::clone(&plugins)));
        tell_strangers(config, &*kinds)?;

        let mut registry = Registry::default();
        store.metrics().register(&mut registry);
        lane.metrics().register(&mut registry);
        budgets.register(&mut registry);
        plugins.register(&mut registry);
        let engine_metrics = roughneck_engine::Metrics::register(&mut registry);
        let api_metrics = roughneck_api::Metrics::register(&mut registry);
        let parts = roughneck_engine::Parts {
            store: Arc::clone(&store) as _,
            flows: Arc::clone(&store) as _,
            children: Arc::clone(&store) as _,
            outbox: Arc::clone(&store) as _,
            schedules: Arc::clone(&store) as _,
            catalog: Arc::clone(&kinds) as _,
            runner: Arc::clone(&kinds) as _,
            llm: Arc::clone(&lane) as _,
            courier: Arc::new(courier),
            clock: Arc::clone(&system) as _,
            entropy: Arc::clone(&system) as _,
            budgets: Arc::clone(&budgets),
            bells,
            metrics: engine_metrics,
        };
        let engine = Engine::start(parts, engine_config(config)?).await?;
        let ports = roughneck_api::Ports {
            store: Arc::clone(&store) as _,
            flows: Arc::clone(&store) as _,
            children: Arc::clone(&store) as _,
            outbox: Arc::clone(&store) as _,
            schedules: Arc::clone(&store) as _,
            catalog: kinds,
            control: Arc::clone(&engine) as _,
            gateway: Arc::clone(&lane) as _,
            llm: lane,
            budgets,
            clock: Arc::clone(&system) as _,
            entropy: system,
        };
        let app = App::new(ports, settings, Arc::new(registry), api_metrics);
        let closing = CancellationToken::new();
        let url = format!("http://{}", listener.local_addr()?);
        let until = closing.clone().cancelled_owned();
        let serving = tokio::spawn(roughneck_api::serve(listener, app, until));
        Ok(Self { url, store, engine, serving, closing, lane_stop })
    }

    /// Takes the host apart: no new work, then the jobs, then the HTTP surface, the store at last.
    async fn stop(self, config: &Config) -> Result<()> {
        self.engine.stop(config.stop_limit()?).await;
        self.lane_stop.cancel();
        self.closing.cancel();
        self.serving.await.context("the HTTP surface failed")?;
        self.store.close().await;
        info!("stopped");
        Ok(())
    }
}

async fn store(config: &Config, data_dir: &Path, bells: &Arc<Bells>) -> Result<Arc<SqliteStore>> {
    private::make_dir(data_dir).with_context(|| {
        format!(
            "the data folder {} cannot be made; choose another one with --data-dir",
            data_dir.display()
        )
    })?;
    let store = roughneck_store::Config {
        runaway: config.guard.runaway()?,
        marks: config.intake.marks()?,
        ..roughneck_store::Config::new(data_dir)
    };
    Ok(Arc::new(SqliteStore::open(&store, Arc::clone(bells) as _, Arc::new(System)).await?))
}

fn settings(config: &Config, connections_max: u32) -> Result<Settings> {
    Ok(Settings {
        body_bytes_max: config.server.body_bytes_max()?,
        call_bytes_max: config.server.call_bytes_max()?,
        connections_max: usize::try_from(connections_max)?,
        host_names: config.server.names.clone(),
        slots: config.classes.slots()?,
        callbacks_private: config.callbacks.allow_private,
        callback_targets: config.callbacks.targets()?.into_keys().collect(),
        ..Settings::default()
    })
}

fn engine_config(config: &Config) -> Result<roughneck_engine::Config> {
    Ok(roughneck_engine::Config {
        slots: config.classes.slots()?,
        retention: config.retention.limits()?,
        breaker: config.guard.breaker()?,
        depth_max: config.guard.depth_max(),
    })
}

/// The path to one Ollama.
fn lane(
    config: roughneck_llm::Config,
    bells: &Arc<Bells>,
    budgets: Arc<dyn budgets::Budgets>,
    backlog: Arc<dyn Backlog>,
    stop: &CancellationToken,
) -> Result<Arc<Lane>> {
    let bell: Arc<dyn Bell> = Arc::clone(bells) as _;
    let ports = roughneck_llm::Ports { bell, clock: Arc::new(System), budgets, backlog };
    Ok(Lane::start(config, ports, stop)?)
}

fn budgets(config: &Config, store: &Arc<SqliteStore>) -> Result<Arc<Budgets>> {
    let (limits, zone) = (config.budgets.limits()?, config.budgets.zone()?);
    let ledger = Ledger::new(limits, zone, System.now());
    Ok(Budgets::new(ledger, Arc::clone(store) as _, Arc::new(System)))
}

fn webhooks(config: &Config, secret: roughneck_jobs::signature::Secret) -> Result<webhook::Config> {
    let mut targets = BTreeMap::new();
    for (name, target) in config.callbacks.targets()? {
        let url = target
            .url
            .parse()
            .with_context(|| format!("the URL of the callback target `{name}` is wrong"))?;
        let secret = target.secret.unwrap_or_else(|| secret.clone());
        let allow_private = target.allow_private;
        targets.insert(name, webhook::Target { url, secret, allow_private });
    }
    Ok(webhook::Config { targets, secret, allow_private: config.callbacks.allow_private })
}

fn tell_strangers(config: &Config, catalog: &impl Catalog) -> Result<()> {
    let installed = Installed::of(catalog);
    let told = [strangers::grants(config, &installed)?, strangers::budgets(config, &installed)?];
    told.iter().flatten().for_each(|sentence| warn!("{sentence}"));
    Ok(())
}

/// Loads the plugins away from the runtime: compiling a new one takes seconds.
async fn plugins(
    config: &Config,
    data_dir: &Path,
    natives: &[Native],
    ports: roughneck_capabilities::Ports,
) -> Result<Arc<Plugins>> {
    let dirs = config.plugins();
    for dir in &dirs {
        // The one in the data folder does not exist before the first start.
        std::fs::create_dir_all(dir)
            .with_context(|| format!("the plugin folder {} cannot be made", dir.display()))?;
    }
    let sandbox = roughneck_sandbox::Config {
        dirs,
        cache_dir: Some(data_dir.join("compiled")),
        grants: config.grants.clone(),
        classes: config.classes.durable()?,
        host_plugins: native::plugin_names(natives),
        host_kinds: native::kind_names(natives),
    };
    let plugins = tokio::task::spawn_blocking(move || Plugins::load(sandbox, ports)).await??;
    Ok(Arc::new(plugins))
}
