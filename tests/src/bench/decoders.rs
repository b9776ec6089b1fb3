//! How fast the devices' bytes are read, each beside what a bare reading of the same bytes takes in the
//! same run, and what a gigabyte of journal takes in memory.
//!
//! Decoding is single-threaded. A till sends kilobytes a second; what counts is a journal of years that is
//! read for the first time, and that no device can keep a processor busy.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tillbind_firmware_bridge::code::{CardRules, Code};
use tillbind_firmware_bridge::journal::csv::{Column, ColumnRole, CsvSettings};
use tillbind_firmware_bridge::journal::decoder::{LineDecoder, LineFormat};
use tillbind_firmware_bridge::journal::entry::Entry;
use tillbind_firmware_bridge::journal::ndjson::NdjsonSettings;
use tillbind_firmware_bridge::journal::value::{AmountUnit, ValueRules};
use tillbind_firmware_bridge::money::Currency;
use tillbind_firmware_bridge::poslog::{PosLogItem, PosLogReader};
use tillbind_firmware_bridge::receipt::{Dialect, Encoding, Profile, Reading, ReceiptDecoder};
use tillbind_firmware_bridge::scanner::{LineConfig, LineFramer};

use super::{Row, ratio};
use crate::clock::{self, Stopwatch};
use crate::environment;
use crate::poslog;
use crate::process::{command, memory_kib};
use crate::receipt;
use crate::sale::{CURRENCY, Sale, decimal};

/// Sales of one corpus.
const SALES: u32 = 2_000;
/// How long each way is measured, in turns.
const MEASURED: Duration = Duration::from_secs(2);
/// Bytes of the long journal: a gigabyte; a debug build would take an hour for it.
const LONG_BYTES: u64 = if cfg!(debug_assertions) {
    20_000_000
} else {
    1_000_000_000
};

/// One sort of bytes, how we read it, and how it is read barely.
struct Way {
    what: &'static str,
    bytes: Vec<u8>,
    decode: fn(&[u8]) -> Result<usize>,
    barely: &'static str,
    read: fn(&[u8]) -> usize,
}

pub(super) fn measure() -> Result<Vec<Row>> {
    let sales: Vec<Sale> = (0..SALES)
        .map(|n| Sale::numbered("S001", "1", clock::now(), n))
        .collect();
    let receipts: Vec<u8> = sales.iter().flat_map(receipt::printed).collect();
    let scans: Vec<u8> = (0..SALES * 10)
        .flat_map(|n| format!("]E0{:012}7\r6275980000{n:06}\r", n * 7919).into_bytes())
        .collect();
    let ways = [
        Way {
            what: "ESC/POS receipts to lines",
            bytes: receipts.clone(),
            decode: print_jobs,
            barely: CHARACTERS,
            read: characters,
        },
        Way {
            what: "ESC/POS receipts to sales by a profile",
            bytes: receipts,
            decode: printed_sales,
            barely: CHARACTERS,
            read: characters,
        },
        Way {
            what: "scanner's lines to codes",
            bytes: scans,
            decode: scanned_codes,
            barely: CHARACTERS,
            read: characters,
        },
        Way {
            what: "POSLog to sales",
            bytes: poslog::file(&sales)?.into_bytes(),
            decode: |bytes| poslog_sales(bytes),
            barely: "quick-xml alone",
            read: xml_events,
        },
        Way {
            what: "JSON lines to sales",
            bytes: json_lines(&sales).into_bytes(),
            decode: ndjson_sales,
            barely: "serde_json alone",
            read: json_values,
        },
        Way {
            what: "rows (CSV) to sales",
            bytes: rows_of(&sales).into_bytes(),
            decode: csv_sales,
            barely: "the crate csv alone",
            read: csv_records,
        },
    ];
    let mut rows = Vec::new();
    for way in &ways {
        rows.push(way.measure()?);
    }
    rows.push(gigabyte()?);
    Ok(rows)
}

impl Way {
    fn measure(&self) -> Result<Row> {
        let expected = (self.decode)(&self.bytes)?;
        ensure!(expected > 0, "nothing was read of the {}", self.what);
        let (mut ours, mut bare) = (Duration::ZERO, Duration::ZERO);
        let mut rounds = 0u32;
        while ours + bare < MEASURED || rounds < 3 {
            let watch = Stopwatch::start();
            black_box((self.decode)(black_box(&self.bytes))?);
            ours += watch.elapsed();
            let watch = Stopwatch::start();
            black_box((self.read)(black_box(&self.bytes)));
            bare += watch.elapsed();
            rounds += 1;
        }
        let rate = |time: Duration| {
            self.bytes.len() as f64 * f64::from(rounds) / 1e6 / time.as_secs_f64().max(1e-9)
        };
        Ok(Row {
            what: self.what.to_owned(),
            measured: format!(
                "{:.0} MB/s ({:.1} × the time)",
                rate(ours),
                ratio(ours, bare)
            ),
            beside: format!("{}: {:.0} MB/s", self.barely, rate(bare)),
            goal: String::new(),
        })
    }
}

fn print_jobs(bytes: &[u8]) -> Result<usize> {
    let mut decoder = ReceiptDecoder::new(Dialect::Auto, Encoding::default());
    Ok(decoder.feed(bytes).len())
}

fn printed_sales(bytes: &[u8]) -> Result<usize> {
    let profile = shipped_profile()?;
    let mut decoder = ReceiptDecoder::new(Dialect::Auto, profile.encoding());
    let jobs = decoder.feed(bytes);
    let sales = jobs
        .iter()
        .filter(|job| matches!(profile.read(job), Reading::Sale(_)))
        .count();
    ensure!(sales == jobs.len(), "{sales} sales of {} jobs", jobs.len());
    Ok(sales)
}

/// Reads the profile once: the agent does so when it starts.
fn shipped_profile() -> Result<&'static Profile> {
    static PROFILE: OnceLock<Profile> = OnceLock::new();
    if let Some(profile) = PROFILE.get() {
        return Ok(profile);
    }
    let text = std::fs::read_to_string(receipt::profile()?)?;
    let profile = Profile::parse(&text)?;
    Ok(PROFILE.get_or_init(|| profile))
}

fn scanned_codes(bytes: &[u8]) -> Result<usize> {
    let rules = CardRules::new(["627598"])?;
    let mut framer = LineFramer::new(LineConfig::default());
    let cards = framer
        .feed(bytes)
        .into_iter()
        .filter(|frame| matches!(frame.clone().classify(&rules), Code::MemberCard(_)))
        .count();
    Ok(cards)
}

fn poslog_sales(reader: impl BufRead) -> Result<usize> {
    let mut sales = 0;
    for item in PosLogReader::new(reader) {
        if let PosLogItem::Sale(_) = item? {
            sales += 1;
        }
    }
    Ok(sales)
}

/// The export's own form, a line each.
fn json_lines(sales: &[Sale]) -> String {
    sales
        .iter()
        .map(|sale| format!("{}\n", sale.json()))
        .collect()
}

fn ndjson_sales(bytes: &[u8]) -> Result<usize> {
    let settings = NdjsonSettings::new(AmountUnit::Minor);
    told_sales(&LineFormat::Ndjson(Box::new(settings)), bytes)
}

/// A row for each line of goods.
fn rows_of(sales: &[Sale]) -> String {
    let mut rows = String::from("store,till,day,number,item,quantity,amount\n");
    for sale in sales {
        for goods in &sale.goods {
            let (store, till, day, number) =
                (&sale.store, &sale.workstation, &sale.day, sale.sequence);
            let (item, quantity, amount) = (
                &goods.item_id,
                &goods.quantity,
                decimal(goods.amount_minor()),
            );
            rows.push_str(&format!(
                "{store},{till},{day},{number},{item},{quantity},{amount}\n"
            ));
        }
    }
    rows
}

fn csv_sales(bytes: &[u8]) -> Result<usize> {
    let mut rules = ValueRules::new(AmountUnit::Major);
    rules.currency = Some(Currency::parse(CURRENCY)?);
    let mut settings = CsvSettings::new(rules);
    for (role, name) in [
        ("store", "store"),
        ("workstation", "till"),
        ("business_day", "day"),
        ("sequence", "number"),
        ("item_id", "item"),
        ("quantity", "quantity"),
        ("amount", "amount"),
    ] {
        let role = ColumnRole::parse(role).context("a column's role")?;
        settings
            .columns
            .insert(role, Column::Named(name.to_owned()));
    }
    told_sales(&LineFormat::Csv(Box::new(settings)), bytes)
}

fn told_sales(format: &LineFormat, bytes: &[u8]) -> Result<usize> {
    let mut decoder = LineDecoder::new(format);
    let mut found = Vec::new();
    // As a file is read: in pieces.
    for piece in bytes.chunks(64 << 10) {
        decoder.feed(piece, &mut found);
    }
    decoder.end(&mut found);
    let sales = found
        .iter()
        .filter(|found| matches!(found.entry, Entry::Sale(_)))
        .count();
    ensure!(
        sales == found.len(),
        "{sales} sales of {} entries",
        found.len()
    );
    Ok(sales)
}

fn json_values(bytes: &[u8]) -> usize {
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| serde_json::from_slice::<Value>(line).is_ok())
        .count()
}

fn csv_records(bytes: &[u8]) -> usize {
    csv::Reader::from_reader(bytes)
        .byte_records()
        .filter(Result::is_ok)
        .count()
}

const CHARACTERS: &str = "a look at each byte";

fn characters(bytes: &[u8]) -> usize {
    bytes.iter().fold(0usize, |sum, byte| {
        sum.wrapping_mul(31) ^ usize::from(*byte)
    })
}

fn xml_events(bytes: &[u8]) -> usize {
    let mut reader = quick_xml::Reader::from_reader(bytes);
    let mut buffer = Vec::new();
    let mut events = 0;
    loop {
        match reader.read_event_into(&mut buffer) {
            Ok(quick_xml::events::Event::Eof) | Err(_) => return events,
            Ok(event) => events += event.len(),
        }
        buffer.clear();
    }
}

/// Reads a gigabyte in a process of its own, so that its memory is its own.
fn gigabyte() -> Result<Row> {
    let mut command = command(&environment::binaries()?.join("bench"));
    let mut child = command
        .args(["--swallow", "poslog"])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the benchmark's own helper")?;
    let mut told = String::new();
    let mut out = child.stdout.take().context("the helper has no output")?;
    out.read_to_string(&mut told)?;
    ensure!(child.wait()?.success(), "the helper failed: {told}");
    let told: Value = serde_json::from_str(&told).context("the helper's word")?;
    let number = |name: &str| {
        told[name]
            .as_f64()
            .with_context(|| format!("{name}: {told}"))
    };
    Ok(Row {
        what: format!(
            "a POSLog file of {} MB, memory at most (RSS)",
            LONG_BYTES / 1_000_000
        ),
        measured: format!("{:.1} MB", number("peak_kib")? * 1024.0 / 1e6),
        beside: format!(
            "{:.1} MB before it; {} sales in {:.1} s",
            number("before_kib")? * 1024.0 / 1e6,
            number("sales")?,
            number("seconds")?
        ),
        goal: "constant".to_owned(),
    })
}

/// Reads a gigabyte of a journal, made as it is read, and tells what it took: the process that `decoders`
/// looks at.
///
/// # Errors
/// When something of it cannot be read.
pub fn swallow(format: &str, out: &mut impl Write) -> Result<()> {
    ensure!(format == "poslog", "there is no {format} to swallow");
    let before_kib = memory_kib(std::process::id(), "VmHWM")?;
    let watch = Stopwatch::start();
    let sales = poslog_sales(BufReader::new(Endless::of(LONG_BYTES)?))?;
    let told = json!({
        "sales": sales,
        "seconds": watch.elapsed().as_secs_f64(),
        "before_kib": before_kib,
        "peak_kib": memory_kib(std::process::id(), "VmHWM")?,
    });
    writeln!(out, "{told}")?;
    Ok(())
}

/// A file of so many bytes that nobody has to keep: its head, the same sales over and over, its end.
struct Endless {
    head: Vec<u8>,
    body: Vec<u8>,
    end: Vec<u8>,
    /// How often the body still comes.
    rounds: u64,
    now: std::io::Cursor<Vec<u8>>,
}

impl Endless {
    fn of(bytes: u64) -> Result<Self> {
        let sales: Vec<Sale> = (0..100)
            .map(|n| Sale::numbered("S001", "1", clock::now(), n))
            .collect();
        let whole = poslog::file(&sales)?;
        let start = whole
            .find("  <Transaction>")
            .context("a file without sales")?;
        let (head, rest) = whole.split_at(start);
        let (body, end) = rest.split_at(rest.find("</POSLog>").context("a file without end")?);
        Ok(Self {
            head: head.as_bytes().to_vec(),
            rounds: bytes / body.len() as u64 + 1,
            body: body.as_bytes().to_vec(),
            end: end.as_bytes().to_vec(),
            now: std::io::Cursor::default(),
        })
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let count = self.now.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let next = if !self.head.is_empty() {
                std::mem::take(&mut self.head)
            } else if self.rounds > 0 {
                self.rounds -= 1;
                self.body.clone()
            } else {
                std::mem::take(&mut self.end)
            };
            if next.is_empty() {
                return Ok(0);
            }
            self.now = std::io::Cursor::new(next);
        }
    }
}
