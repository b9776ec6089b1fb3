//! The API's own description.

use axum::Json;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use super::{calls, listing, lookup, quarantine, stream};

#[derive(OpenApi)]
#[openapi(
    info(title = "Tillbind, the till's API", description = "JSON over loopback, with the bearer \
         token of api.token. Errors are {error, message}."),
    paths(
        calls::post_scan,
        calls::post_transaction,
        calls::post_binding,
        lookup::get_card,
        lookup::get_basket,
        listing::get_status,
        listing::get_devices,
        listing::get_outbox,
        listing::get_event,
        quarantine::get_quarantine,
        quarantine::drop_entry,
        stream::get_events,
    ),
    security(("token" = [])),
    modifiers(&Bearer)
)]
struct Description;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi
            .components
            .get_or_insert_default()
            .add_security_scheme("token", bearer);
    }
}

pub(super) async fn get_openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}
