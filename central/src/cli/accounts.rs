//! `account` and `member-code`.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::json;

use super::failure::Failure;
use super::{AccountCommand, Desk, MemberCodeCommand};
use crate::export::Moment;
use crate::{members, operations};

pub(super) async fn run(desk: &Desk<'_>, command: AccountCommand) -> Result<(), Failure> {
    let AccountCommand::Create { account, name } = command;
    let (store, name) = (&desk.central.store, name.as_deref());
    let member = members::create_account(store, &account, name, &desk.actor, desk.now_ms).await?;
    if desk.output.json {
        let answer = json!({"account": account, "member": member});
        return desk.output.object(&answer);
    }
    desk.output.line(member.as_str())?;
    desk.output.explain(&format!(
        "Account {account} belongs to this member. Its code for the till:\n  tillbind-central \
         member-code create {account}"
    ))
}

pub(super) async fn run_code(desk: &Desk<'_>, command: MemberCodeCommand) -> Result<(), Failure> {
    let MemberCodeCommand::Create { account, ttl, qr } = command;
    let issued =
        operations::issue_member_code(desk.central, &account, ttl.0, &desk.actor, desk.now_ms)
            .await?;
    let expires_at = Moment(issued.expires_ms);
    if desk.output.json {
        return desk.output.object(&json!({
            "account": account,
            "code": issued.code,
            "expires_at": expires_at,
        }));
    }
    desk.output.line(&issued.code)?;
    desk.output
        .explain(&format!("This code of {account} works until {expires_at}."))?;
    if qr {
        desk.output.explain(&drawn(&issued.code)?)?;
    }
    Ok(())
}

/// Draws a code for a scanner to read off the screen.
fn drawn(code: &str) -> Result<String, Failure> {
    let qr = QrCode::with_error_correction_level(code.as_bytes(), EcLevel::M);
    let qr = qr.map_err(|_| Failure::Qr)?;
    // Consoles are dark: what is drawn is the light around the code's modules.
    let drawing = qr
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    Ok(drawing)
}
