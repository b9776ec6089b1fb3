//! The OpenAPI document.

use axum::Json;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::schema::{Object, Ref, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::{accounts, claims, disputes, health, keys, metrics, quarantine, refusal, terminals};
use crate::api_keys::Role;
use crate::export::{self, Kind};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tillbind central",
        description = "Headquarters' exports and operations. A tag is the role that a key needs: \
                       reader, operator (reads too), admin (all)."
    ),
    paths(
        health::show,
        metrics::show,
        quarantine::show,
        accounts::create,
        accounts::create_code,
        claims::redeem,
        disputes::settle,
        quarantine::replay_many,
        quarantine::reveal,
        quarantine::replay,
        quarantine::drop_entry,
        terminals::create_token,
        terminals::revoke,
        keys::list,
        keys::create,
        keys::revoke,
    ),
    components(schemas(
        refusal::Problem,
        export::transactions::Transaction,
        export::events::Event,
        export::cards::Card,
        export::members::Member,
        export::bindings::Binding,
        export::terminals::Terminal,
        export::gaps::Gap,
        export::quarantine::Quarantined,
        export::disputes::Dispute,
        export::claims::Claim,
        export::audit::Entry,
    )),
    modifiers(&BearerKey, &Exports),
)]
struct Described;

struct BearerKey;

impl Modify for BearerKey {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", scheme);
        let nothing: [&str; 0] = [];
        document.security = Some(vec![SecurityRequirement::new("api_key", nothing)]);
    }
}

struct Exports;

impl Modify for Exports {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for kind in Kind::ALL {
            let item = PathItem::new(HttpMethod::Get, operation(kind));
            document.paths.paths.insert(export_path(kind), item);
        }
    }
}

/// Returns where a kind is exported.
pub(super) fn export_path(kind: Kind) -> String {
    format!("/api/v1/{}", kind.as_str())
}

/// Returns the role that an export needs. The trail tells on colleagues: it is for few.
pub(super) fn export_role(kind: Kind) -> Role {
    match kind {
        Kind::Transactions
        | Kind::Events
        | Kind::Cards
        | Kind::Members
        | Kind::Bindings
        | Kind::Terminals
        | Kind::Gaps
        | Kind::Quarantine
        | Kind::Disputes
        | Kind::Claims => Role::Reader,
        Kind::Audit => Role::Admin,
    }
}

fn line_schema(kind: Kind) -> &'static str {
    match kind {
        Kind::Transactions => "Transaction",
        Kind::Events => "Event",
        Kind::Cards => "Card",
        Kind::Members => "Member",
        Kind::Bindings => "Binding",
        Kind::Terminals => "Terminal",
        Kind::Gaps => "Gap",
        Kind::Quarantine => "Quarantined",
        Kind::Disputes => "Dispute",
        Kind::Claims => "Claim",
        Kind::Audit => "Entry",
    }
}

fn operation(kind: Kind) -> utoipa::openapi::path::Operation {
    let line = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(line_schema(kind))))
        .build();
    let csv = ContentBuilder::new()
        .schema(Some(Object::with_type(Type::String)))
        .build();
    let response = ResponseBuilder::new()
        .description("One object a line, as of one moment, in a stable order")
        .content("application/x-ndjson", line)
        .content("text/csv", csv)
        .build();
    let mut operation = OperationBuilder::new()
        .tag(export_role(kind).as_str())
        .operation_id(Some(format!("export_{}", kind.as_str())))
        .summary(Some(format!("Exports {}.", kind.as_str())))
        .response("200", response);
    for (name, description) in [
        ("format", "ndjson (unless told) or csv"),
        ("since", "From this time on: RFC 3339, or a day in UTC"),
        ("until", "Before this time"),
        ("store", "Of this store alone"),
        ("terminal", "Of this terminal alone"),
        (
            "open",
            "true: what waits for somebody or something (quarantine, disputes, claims)",
        ),
    ] {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .description(Some(description))
            .schema(Some(Object::with_type(Type::String)))
            .build();
        operation = operation.parameter(parameter);
    }
    operation.build()
}

/// Returns the document.
pub fn document() -> utoipa::openapi::OpenApi {
    Described::openapi()
}

pub(super) async fn show() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}
