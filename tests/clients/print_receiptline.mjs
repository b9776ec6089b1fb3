// Prints the receipt described in a JSON file with receiptline.
//
// Usage: print_receiptline.mjs HOST PORT FILE [COMMAND], with receiptline found from the working directory;
// COMMAND is the printer's language: escpos, starlinesbcs (Star Line Mode) or starsbcs (StarPRNT).

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { join } from 'node:path';

const receiptline = createRequire(join(process.cwd(), 'print.cjs'))('receiptline');
const [host, port, path, command = 'escpos'] = process.argv.slice(2);
const receipt = JSON.parse(readFileSync(path, 'utf8'));

const rows = receipt.rows.map(({ left, right }) => `${left} | ${right}`);
const markdown = [
    `^^^${receipt.heading}`,
    ...rows,
    '---',
    `{code:${receipt.code};option:qrcode,4,L}`,
    receipt.thanks,
].join('\n');
const commands = receiptline.transform(markdown, {
    cpl: 42,
    encoding: 'cp437',
    command,
    cutting: true,
});

const socket = connect(Number(port), host, () => socket.end(Buffer.from(commands, 'binary')));
// A printer may answer; what it says is of no use here, but it has to be read.
socket.resume();
