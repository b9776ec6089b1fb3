//! Where to look, once the day is over.

use std::path::Path;

use anyhow::Result;

use crate::central::Central;
use crate::environment;
use crate::scene::Scene;
use crate::shop::Shop;

/// Returns titles and addresses, files or commands.
pub(super) fn of(
    scene: &Scene,
    central: &Central,
    shops: &[&Shop],
) -> Result<Vec<(String, String)>> {
    let binaries = environment::binaries()?;
    let run = |program: &str, settings: &Path, command: &str| {
        let program = binaries.join(program);
        format!(
            "{} --config {} {command}",
            program.display(),
            settings.display()
        )
    };
    let headquarters = |command: &str| run("tillbind-central", &central.settings(), command);
    let mut places = vec![
        (
            "headquarters' API".to_owned(),
            format!("http://{}/api/v1/transactions", central.admin()?),
        ),
        (
            "  a key for it".to_owned(),
            headquarters("api-key create --role reader"),
        ),
        (
            "  all sales, running or not".to_owned(),
            headquarters("export transactions"),
        ),
        ("  log".to_owned(), shown(&central.log())),
    ];
    for shop in shops {
        let terminal = &shop.terminal;
        let tillbind = |command: &str| run("tillbind", &terminal.settings(), command);
        places.extend([
            (
                format!("till of {}: API", terminal.setup().store),
                format!("http://{}/v1/status", terminal.api_address()?),
            ),
            (
                "  token for it".to_owned(),
                shown(&terminal.data().join("api.token")),
            ),
            (
                "  a printer to print to".to_owned(),
                terminal.tap("printer")?.to_string(),
            ),
            ("  how it is".to_owned(), tillbind("status")),
            ("  a card".to_owned(), tillbind("card 950110153123456781")),
            ("  log".to_owned(), shown(&terminal.log())),
        ]);
    }
    places.push(("all files".to_owned(), shown(scene.path())));
    Ok(places)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
