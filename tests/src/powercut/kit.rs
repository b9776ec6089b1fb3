//! What a virtual machine is made of: Debian's kernel with its virtio modules, busybox, and the two
//! programs with the libraries that they are linked to on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::archive::Archive;
use super::image::Image;
use super::machine::{Machine, Processor};
use crate::environment;
use crate::process::{command, run};

/// In the order in which they need each other; those that a kernel has built in are not there.
const MODULES: [&str; 8] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
    "crc32c_generic",
];
/// Large enough for the daemon's default segments, small enough to be written out.
const DISK_BYTES: u64 = 96 * 1024 * 1024;
/// Started by the kernel; hands over to the program that does the work.
const INIT: &str = r"#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t tmpfs tmp /tmp
while read -r module; do $b insmod /modules/$module.ko; done < /modules/order
$b ifconfig lo 127.0.0.1 up
exec /bin/powercut-guest
";
const AGENT_SETTINGS: &str = r#"data_dir = "/disk/data"
[api]
listen = "127.0.0.1:0"
[cards]
member_prefixes = ["627598"]
"#;

/// All parts, ready to boot.
#[derive(Debug)]
pub(super) struct Kit {
    /// QEMU.
    pub qemu: PathBuf,
    /// The kernel's image.
    pub kernel: PathBuf,
    /// The system for it.
    pub system: PathBuf,
    /// How machines get their processor.
    pub(super) processor: Processor,
    /// A disk with an empty file system.
    pub disk: Image,
}

impl Kit {
    /// Gathers the parts in `dir`.
    ///
    /// # Errors
    /// Says what is missing; `./dev powercut` installs it.
    pub(super) fn gather(dir: &Path) -> Result<Self> {
        let qemu = found("qemu-system-x86_64")?;
        let (kernel, modules) = kernel()?;
        let system = dir.join("system.cpio");
        fs::write(&system, pack(dir, &modules)?)?;
        let mut kit = Self {
            qemu,
            kernel,
            system,
            processor: Processor::best(),
            disk: empty_disk(dir)?,
        };
        kit.try_processor(&dir.join("first"))?;
        Ok(kit)
    }

    /// Boots once. A host may have a KVM in which nothing runs, above all one that is virtual itself.
    fn try_processor(&mut self, dir: &Path) -> Result<()> {
        let booted = Machine::boot(self, dir, self.disk.clone()).map(drop);
        match (booted, self.processor) {
            (Err(_), Processor::Kvm) => {
                self.processor = Processor::Translated;
                Machine::boot(self, dir, self.disk.clone()).map(drop)
            }
            (booted, _) => booted,
        }
    }
}

/// Finds a program, also where only root's PATH leads.
fn found(name: &str) -> Result<PathBuf> {
    let known = ["/usr/sbin", "/sbin"].map(|dir| Path::new(dir).join(name));
    environment::program(name)
        .or_else(|| known.into_iter().find(|path| path.is_file()))
        .with_context(|| format!("{name} is not installed: `./dev powercut` does that"))
}

/// Returns image and modules of Debian's kernel for clouds: the installed one, else the one that
/// `./dev` unpacks into `build/kernel`.
fn kernel() -> Result<(PathBuf, PathBuf)> {
    let unpacked = environment::project()?.join("build/kernel");
    for root in [Path::new("/"), &unpacked] {
        let Ok(entries) = fs::read_dir(root.join("boot")) else {
            continue;
        };
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let Some(version) = name.strip_prefix("vmlinuz-") else {
                continue;
            };
            let modules = [root.join("lib"), root.join("usr/lib")]
                .map(|lib| lib.join("modules").join(version))
                .into_iter()
                .find(|modules| modules.is_dir());
            if version.contains("cloud")
                && let Some(modules) = modules
            {
                return Ok((root.join("boot").join(name), modules));
            }
        }
    }
    bail!("Debian's linux-image-cloud-amd64 is not there: `./dev powercut` unpacks it")
}

fn pack(dir: &Path, modules: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for mount in ["dev", "proc", "sys", "tmp", "disk"] {
        archive.dir(mount);
    }
    archive.file("init", INIT.as_bytes());
    archive.file("agent.toml", AGENT_SETTINGS.as_bytes());
    archive.copy("bin/busybox", &found("busybox")?)?;
    let mut order = String::new();
    for name in MODULES {
        if let Some(path) = module(modules, name)? {
            archive.file(&format!("modules/{name}.ko"), &unpacked(&path)?);
            order.push_str(name);
            order.push('\n');
        }
    }
    archive.file("modules/order", order.as_bytes());
    let mut libraries = std::collections::BTreeSet::new();
    for name in ["powercut-guest", "tillbind"] {
        let program = program(name)?;
        libraries.extend(linked(&program)?);
        let slim = dir.join(name);
        // Symbols would triple what every boot has to load.
        let mut strip = command(&found("strip")?);
        strip.arg("-o").arg(&slim).arg(&program);
        run(strip)?.success()?;
        archive.copy(&format!("bin/{name}"), &slim)?;
    }
    for library in libraries {
        archive.copy(library.to_string_lossy().trim_start_matches('/'), &library)?;
    }
    Ok(archive.finish())
}

/// Finds a program under test.
fn program(name: &str) -> Result<PathBuf> {
    if let Some(dir) = environment::variable(environment::BIN_DIR) {
        return Ok(Path::new(&dir).join(name));
    }
    let exe = std::env::current_exe().context("the rig cannot find itself")?;
    exe.ancestors()
        .skip(1)
        .take(3)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not built beside {}", exe.display()))
}

/// Returns the libraries that a program is linked to, its loader among them.
fn linked(program: &Path) -> Result<Vec<PathBuf>> {
    let mut ldd = command(&found("ldd")?);
    ldd.arg(program);
    let told = run(ldd)?.success()?;
    let libraries: Vec<_> = told
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect();
    ensure!(
        !libraries.is_empty(),
        "{} is linked to nothing: {told}",
        program.display()
    );
    Ok(libraries)
}

/// Finds a module below `dir`, compressed or not.
fn module(dir: &Path, name: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if let Some(found) = module(&path, name)? {
                return Ok(Some(found));
            }
        } else if entry
            .file_name()
            .to_string_lossy()
            .split_once(".ko")
            .is_some_and(|(stem, _)| stem.replace('-', "_") == name)
        {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn unpacked(module: &Path) -> Result<Vec<u8>> {
    if module.extension().is_some_and(|ending| ending == "xz") {
        let output = Command::new(found("xz")?).arg("-dc").arg(module).output()?;
        ensure!(
            output.status.success(),
            "cannot unpack {}",
            module.display()
        );
        return Ok(output.stdout);
    }
    Ok(fs::read(module)?)
}

fn empty_disk(dir: &Path) -> Result<Image> {
    let path = dir.join("empty.ext4");
    fs::File::create(&path)?.set_len(DISK_BYTES)?;
    let mut format = command(&found("mkfs.ext4")?);
    format.args([
        "-q",
        "-F",
        "-b",
        "4096",
        "-E",
        "lazy_itable_init=0,lazy_journal_init=0",
    ]);
    format.arg(&path);
    run(format)?.success()?;
    Image::read(&path).context("cannot read the empty disk")
}
