//! The routes: one router, from which the OpenAPI description follows, behind one [`edge`] that every request passes.

pub(crate) mod auth;
mod body;
pub(crate) mod cors;
pub(crate) mod edge;
mod error;
mod health;
mod metrics;
pub(crate) mod openapi;
pub(crate) mod serve;
mod sql;
mod stream;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use kalam_engine::Engine;
use kalam_link_core::{ErrorCode, ServerError};
use kalam_query::Executor;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Auth;
use crate::auth::rate::RateLimit;
use crate::config::{Config, Secret};
use crate::metrics::Metrics;
use crate::shutdown::Lifecycle;
use crate::statements::Statements;
use crate::ws::{self, Sockets};

pub(crate) use error::Failure;

pub(crate) use body::BodyLimits;

/// Whether only this machine reaches the server. A property of the address that it listens on, not of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Loopback,
    Network,
}

/// What the routes work with.
pub(crate) struct Parts {
    pub engine: Arc<Engine>,
    pub executor: Executor,
    pub auth: Arc<Auth>,
    pub rate: Option<Arc<RateLimit>>,
    pub metrics: Arc<Metrics>,
    pub lifecycle: Lifecycle,
    pub reach: Reach,
}

/// All routes. `extra` is served beside them, behind the same edge.
pub(crate) fn router(parts: Parts, config: &Config, extra: Router) -> Router {
    let description = Arc::new(OnceLock::new());
    let (routes, api) = documented(&parts, config, &description).split_for_parts();
    let described = description.set(api).is_ok();
    debug_assert!(described, "the cell was made above");
    let edge = Arc::new(edge::Edge::new(Arc::clone(&parts.metrics), parts.lifecycle));
    routes
        .merge(extra)
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(edge, edge::pass))
        .layer(cors::layer(
            config.security.allowed_origins.clone(),
            parts.reach,
        ))
}

fn documented(parts: &Parts, config: &Config, description: &openapi::Description) -> OpenApiRouter {
    let bodies = BodyLimits {
        bytes_max: config.limits.body_bytes_max,
        timeout: Duration::from_millis(config.server.body_timeout_ms),
    };
    let statements = Statements {
        executor: parts.executor.clone(),
        rate: parts.rate.clone(),
        metrics: Arc::clone(&parts.metrics),
    };
    let sockets = ws::Parts {
        engine: Arc::clone(&parts.engine),
        auth: Arc::clone(&parts.auth),
        statements: statements.clone(),
        metrics: Arc::clone(&parts.metrics),
        lifecycle: parts.lifecycle.clone(),
        reach: parts.reach,
    };
    let sql = sql::SqlState {
        statements,
        auth: Arc::clone(&parts.auth),
        bodies,
    };
    let auth = auth::AuthState {
        auth: Arc::clone(&parts.auth),
        metrics: Arc::clone(&parts.metrics),
        bodies,
        reach: parts.reach,
    };
    let health = health::HealthState {
        engine: Arc::clone(&parts.engine),
        lifecycle: parts.lifecycle.clone(),
    };
    let metrics = metrics::MetricsState {
        engine: Arc::clone(&parts.engine),
        auth: Arc::clone(&parts.auth),
        metrics: Arc::clone(&parts.metrics),
        token: config
            .metrics
            .token
            .clone()
            .map(|token: Secret| Arc::from(token.expose())),
        reach: parts.reach,
    };
    OpenApiRouter::with_openapi(openapi::base())
        .merge(health_routes().with_state(health))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(metrics::show))
                .with_state(metrics),
        )
        .merge(
            OpenApiRouter::new()
                .routes(routes!(openapi::show))
                .with_state(Arc::clone(description)),
        )
        .merge(auth_routes().with_state(auth))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(sql::run))
                .with_state(sql),
        )
        .merge(
            OpenApiRouter::new()
                .routes(routes!(ws::upgrade::open))
                .with_state(Arc::new(Sockets::new(sockets, config))),
        )
}

fn health_routes() -> OpenApiRouter<health::HealthState> {
    OpenApiRouter::new()
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::health))
        .routes(routes!(health::healthcheck))
}

fn auth_routes() -> OpenApiRouter<auth::AuthState> {
    OpenApiRouter::new()
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::me))
        .routes(routes!(auth::status))
        .routes(routes!(auth::setup))
}

async fn no_route(request: Request) -> Response {
    let path = request.uri().path();
    let message = format!("not found: no route `{} {path}`", request.method());
    Failure::from(ServerError::new(ErrorCode::NotFound, message)).answer_at(path)
}

async fn wrong_method(request: Request) -> Response {
    let path = request.uri().path();
    let message = format!("`{path}` does not answer {}", request.method());
    let mut response =
        Failure::from(ServerError::new(ErrorCode::InvalidInput, message)).answer_at(path);
    *response.status_mut() = axum::http::StatusCode::METHOD_NOT_ALLOWED;
    response
}
