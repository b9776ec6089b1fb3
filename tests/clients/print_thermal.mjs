// Prints the receipt described in a JSON file with node-thermal-printer.
//
// Usage: print_thermal.mjs HOST PORT FILE, or print_thermal.mjs DEVICE 0 FILE for a serial port, with the
// library found from the working directory.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const library = createRequire(join(process.cwd(), 'print.cjs'))('node-thermal-printer');
const [host, port, path] = process.argv.slice(2);
const receipt = JSON.parse(readFileSync(path, 'utf8'));

const printer = new library.ThermalPrinter({
    type: library.PrinterTypes.EPSON,
    interface: host.startsWith('/') ? host : `tcp://${host}:${port}`,
    width: 42,
});
printer.alignCenter();
printer.println(receipt.heading);
printer.alignLeft();
for (const { left, right } of receipt.rows) {
    if (right) printer.leftRight(left, right);
    else printer.println(left);
}
printer.drawLine();
printer.alignCenter();
printer.printQR(receipt.code);
printer.println(receipt.thanks);
printer.openCashDrawer();
printer.cut();
await printer.execute();
