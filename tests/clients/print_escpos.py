"""Prints the receipt described in a JSON file with python-escpos.

Usage: print_escpos.py HOST PORT FILE, or print_escpos.py DEVICE 0 FILE for a serial port
"""

import json
import sys

from escpos.printer import Network, Serial

COLUMNS = 42


def main() -> None:
    host, port, path = sys.argv[1:4]
    with open(path, encoding="utf-8") as file:
        receipt = json.load(file)
    if host.startswith("/"):
        # Without the modem's lines, which a pseudo-terminal does not have.
        printer = Serial(devfile=host, baudrate=115200, dsrdtr=False, timeout=10)
    else:
        printer = Network(host, port=int(port), timeout=10)
    printer.set(align="center", bold=True, double_height=True)
    printer.textln(receipt["heading"])
    printer.set(align="left", bold=False, normal_textsize=True)
    for row in receipt["rows"]:
        left, right = row["left"], row["right"]
        printer.textln(left + right.rjust(COLUMNS - len(left)) if right else left)
    printer.textln("-" * COLUMNS)
    printer.set(align="center")
    printer.qr(receipt["code"], native=True, size=4)
    printer.textln(receipt["thanks"])
    printer.cashdraw(2)
    printer.cut()
    printer.close()


main()
