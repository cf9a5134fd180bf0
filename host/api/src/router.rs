//! All routes on one screen.

use std::sync::Arc;

use axum::{
    Router,
    middleware::{from_fn_with_state, map_response},
    response::Response,
    routing::{MethodRouter, any, delete, get, head, post},
};
use roughneck_jobs::ports::gateway::{CallRoute, PassRoute};

use crate::{
    App,
    cancel_flow::cancel_flow,
    cancel_job::cancel_job,
    change_schedule::change_schedule,
    check_health::check_health,
    check_ready::check_ready,
    create_schedule::create_schedule,
    delete_schedule::delete_schedule,
    follow_job::follow_job,
    get_artifact::get_artifact,
    get_flow::get_flow,
    get_job::get_job,
    get_schedule::get_schedule,
    guard::guard,
    index::{index, no_such_route, wrong_method},
    list_aliases::list_aliases,
    list_artifacts::list_artifacts,
    list_budgets::list_budgets,
    list_classes::list_classes,
    list_dead::list_dead,
    list_flows::list_flows,
    list_jobs::list_jobs,
    list_kinds::list_kinds,
    list_plugins::list_plugins,
    list_schedules::list_schedules,
    measure::measure,
    metrics::Route,
    no_room::no_room,
    ollama::{
        call::call,
        closed::{OF_THE_ACCOUNT, TRANSCRIPTIONS, not_served, of_the_account},
        pass::pass,
        root,
    },
    pause_class::pause_class,
    pause_kind::pause_kind,
    pause_schedule::pause_schedule,
    purge_dead::purge_dead,
    resume_class::resume_class,
    resume_kind::resume_kind,
    resume_schedule::resume_schedule,
    retry_dead::retry_dead,
    retry_flow::retry_flow,
    retry_job::retry_job,
    run_schedule::run_schedule,
    scrape_metrics::scrape_metrics,
    submit_flow::submit_flow,
    submit_job::submit_job,
};

/// The whole HTTP surface. `GET` answers `HEAD` as well.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", on(Route::Root, get(root)))
        .route("/help", on(Route::Index, get(index)))
        .route("/jobs", on(Route::Jobs, get(list_jobs).post(submit_job)))
        .route("/jobs/{id}", on(Route::Job, get(get_job).delete(cancel_job)))
        .route("/jobs/{id}/events", on(Route::JobEvents, get(follow_job)))
        .route("/jobs/{id}/retry", on(Route::JobRetry, post(retry_job)))
        .route("/jobs/{id}/artifacts", on(Route::JobArtifacts, get(list_artifacts)))
        .route("/jobs/{id}/artifacts/{name}", on(Route::JobArtifact, get(get_artifact)))
        .route("/flows", on(Route::Flows, get(list_flows).post(submit_flow)))
        .route("/flows/{id}", on(Route::Flow, get(get_flow).delete(cancel_flow)))
        .route("/flows/{id}/retry", on(Route::FlowRetry, post(retry_flow)))
        .route("/dead", on(Route::Dead, get(list_dead).delete(purge_dead)))
        .route("/dead/retry", on(Route::DeadRetry, post(retry_dead)))
        .route("/schedules", on(Route::Schedules, get(list_schedules).post(create_schedule)))
        .route(
            "/schedules/{id}",
            on(Route::Schedule, get(get_schedule).put(change_schedule).delete(delete_schedule)),
        )
        .route("/schedules/{id}/pause", on(Route::SchedulePause, post(pause_schedule)))
        .route("/schedules/{id}/resume", on(Route::ScheduleResume, post(resume_schedule)))
        .route("/schedules/{id}/run", on(Route::ScheduleRun, post(run_schedule)))
        .route("/classes", on(Route::Classes, get(list_classes)))
        .route("/classes/{name}/pause", on(Route::ClassPause, post(pause_class)))
        .route("/classes/{name}/resume", on(Route::ClassResume, post(resume_class)))
        .route("/kinds", on(Route::Kinds, get(list_kinds)))
        .route("/kinds/{name}/pause", on(Route::KindPause, post(pause_kind)))
        .route("/kinds/{name}/resume", on(Route::KindResume, post(resume_kind)))
        .route("/budgets", on(Route::Budgets, get(list_budgets)))
        .route("/aliases", on(Route::Aliases, get(list_aliases)))
        .route("/plugins", on(Route::Plugins, get(list_plugins)))
        .route("/healthz", on(Route::Health, get(check_health)))
        .route("/readyz", on(Route::Ready, get(check_ready)))
        .route("/metrics", on(Route::Metrics, get(scrape_metrics)))
        .merge(surfaces())
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&app), guard))
        .layer(from_fn_with_state(Arc::clone(&app), measure))
        .with_state(app)
}

/// What is served to those for whom there is no room: how the host is, so that whoever runs it can look at it just then, and to all
/// else a refusal.
pub(crate) fn without_room(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", on(Route::Health, get(check_health)))
        .route("/readyz", on(Route::Ready, get(check_ready)))
        .route("/metrics", on(Route::Metrics, get(scrape_metrics)))
        .fallback(no_room)
        .layer(from_fn_with_state(Arc::clone(&app), guard))
        .layer(from_fn_with_state(Arc::clone(&app), measure))
        .with_state(app)
}

/// Ollama's own routes, and OpenAI's and Anthropic's that it has. Nothing else of Ollama is reachable:
/// there is no catch-all, for Ollama serves its profiler on the same port.
fn surfaces() -> Router<Arc<App>> {
    let pass = |route: PassRoute| move |app, request| pass(route, app, request);
    let calls = CallRoute::ALL.into_iter().fold(Router::new(), |router, route| {
        let handler = move |app, request| call(route, app, request);
        router.route(route.path(), on(Route::Call(route), post(handler)))
    });
    // Like what has no route at all, they are no routes to the metrics.
    let closed = OF_THE_ACCOUNT
        .into_iter()
        .fold(calls, |router, path| router.route(path, any(of_the_account)));
    let closed = closed.route(TRANSCRIPTIONS, any(not_served));
    let got = |route| on(Route::Pass(route), get(pass(route)));
    let posted = |route| on(Route::Pass(route), post(pass(route)));
    closed
        .route("/api/version", got(PassRoute::Version))
        .route("/api/status", got(PassRoute::Status))
        .route("/api/experimental/model-recommendations", got(PassRoute::Recommendations))
        .route("/api/tags", got(PassRoute::Tags))
        .route("/api/ps", got(PassRoute::Ps))
        .route("/api/show", posted(PassRoute::Show))
        .route("/v1/models", got(PassRoute::Models))
        .route("/v1/models/{model}", got(PassRoute::Model))
        .route("/api/pull", posted(PassRoute::Pull))
        .route("/api/push", posted(PassRoute::Push))
        .route("/api/create", posted(PassRoute::Create))
        .route("/api/copy", posted(PassRoute::Copy))
        .route("/api/delete", on(Route::Pass(PassRoute::Delete), delete(pass(PassRoute::Delete))))
        .route(
            "/api/blobs/{digest}",
            on(
                Route::Pass(PassRoute::Blob),
                head(pass(PassRoute::Blob)).post(pass(PassRoute::Blob)),
            ),
        )
}

/// Names the route for the metrics.
fn on(route: Route, methods: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    methods.layer(map_response(move |mut response: Response| async move {
        response.extensions_mut().insert(route);
        response
    }))
}
