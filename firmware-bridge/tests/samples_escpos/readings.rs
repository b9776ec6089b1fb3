//! What each stream of the samples holds, read from a hexadecimal dump by hand.

/// What an independent reading of one stream found.
pub(crate) struct Sample {
    /// Name of its file, without the ending.
    pub(crate) file: &'static str,
    pub(crate) cuts: usize,
    pub(crate) kicks: usize,
    /// Images as commands; strips and colour planes count each.
    pub(crate) images: usize,
    pub(crate) codes: usize,
    /// Bytes that no reading can make sense of.
    pub(crate) skipped: u64,
    /// Jobs that are images alone.
    pub(crate) image_only: usize,
    /// Texts that must stand on the paper, in this order.
    pub(crate) snippets: &'static [&'static str],
    pub(crate) first_code: Option<&'static str>,
}

/// A stream that is cut once and bears nothing but text.
const TEXT: Sample = Sample {
    file: "",
    cuts: 1,
    kicks: 0,
    images: 0,
    codes: 0,
    skipped: 0,
    image_only: 0,
    snippets: &[],
    first_code: None,
};

/// Every stream of the samples.
pub(crate) const SAMPLES: &[Sample] = &[
    Sample {
        file: "a-epson-coupon-pagemode",
        images: 16,
        snippets: &["$5 OFF", "good for any", "purchase over", "$50.00 or more"],
        ..TEXT
    },
    // The second image declares 180 bytes more than the stream has. All of it that is image, 19,092
    // bytes, is skipped; what it swallowed (from `GS ( L` on) is read again.
    Sample {
        file: "a-epson-retail-2012",
        images: 2,
        codes: 1,
        skipped: 19_092,
        snippets: &[
            "3840 KILROY AIRPORT WAY",
            "03/29/12  14:33:30  TR#: 011534",
            "00094424   BUG SPRAY                 14.99",
            "Demos Coupon 00112563           -5.00",
            "TAX 8.25%                   8.74",
            "TOTAL                          114.70",
            "Visa Credit Card               114.70",
            "Thanks for visiting",
        ],
        first_code: Some("0188025014655200"),
        ..TEXT
    },
    Sample {
        file: "a-gbk-restaurant-snaildev",
        snippets: &[
            "***餐馆",
            "客人就餐消费单",
            "桌号：28",
            "酒店日期：2016-5-6                餐段：晚餐",
            "健怡雪碧         4            瓶       40.00",
            "鲟龙鱼         1.5            斤       28.00",
            "消费合计：68.00",
            "打印时间：2016-5-6   21:32:49",
        ],
        ..TEXT
    },
    Sample {
        file: "a-zebra-farmers-market",
        cuts: 0,
        codes: 1,
        snippets: &[
            "Zebra Farmer's Market",
            "Bananas    $2.99/LB",
            "NY Strip           $8.99/LB",
            "Tax (9%)           $2.25",
            "Total      $27.20",
            "www.zebra.com",
        ],
        first_code: Some("123456"),
        ..TEXT
    },
    Sample {
        file: "b-escpos-php-barcode",
        codes: 40,
        snippets: &[
            "Height and bar width",
            "Width 8",
            "Content: A012$+-./:A",
            "Code128",
        ],
        first_code: Some("ABC"),
        ..TEXT
    },
    Sample {
        file: "b-escpos-php-bit-image",
        images: 4,
        snippets: &[
            "Regular Tux (bit image).",
            "Large Tux in correct proportion",
        ],
        ..TEXT
    },
    Sample {
        file: "b-escpos-php-character-encodings",
        snippets: &[
            "jordbær med fløde, mens cirkusklovnen Wolther spillede på xylofon.",
            "größeren Zwerg.",
            "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
            "El pingüino Wenceslao hizo kilómetros",
            "Le cœur déçu mais l'âme plutôt naïve",
            "Árvíztűrő tükörfúrógép.",
            "Glāžšķūņa rūķīši",
            "Pchnąć w tę łódź jeża lub ośm skrzyń fig.",
            "В чащах юга жил бы цитрус?",
            "yağız şoföre çabucak güvendi.",
            "ｲﾛﾊﾆﾎﾍﾄ ﾁﾘﾇﾙｦ",
            "דג סקרן שט בים",
        ],
        ..TEXT
    },
    Sample {
        file: "b-escpos-php-character-tables",
        snippets: &[
            "Table 0: CP437",
            "8 ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ",
            "Table 13: CP857",
            "Table 17: CP866",
            "8 АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
        ],
        ..TEXT
    },
    Sample {
        file: "b-escpos-php-demo",
        cuts: 14,
        kicks: 1,
        images: 8,
        codes: 4,
        image_only: 2,
        snippets: &[
            "Hello world",
            "Partial cut",
            "A man a plan",
            "Micro QR code",
        ],
        first_code: Some("9876"),
        ..TEXT
    },
    Sample {
        file: "b-escpos-php-graphics",
        images: 4,
        snippets: &["Regular Tux.", "Large Tux in correct proportion."],
        ..TEXT
    },
    Sample {
        file: "b-escpos-php-margins-and-spacing",
        snippets: &["left margin 512", "Page width", "page width 64"],
        ..TEXT
    },
    Sample {
        file: "b-escpos-php-pdf417-code",
        codes: 24,
        snippets: &[
            "PDF417 code demo",
            "Column count 30 (maximum, doesnt fit!)",
            "Truncated",
        ],
        first_code: Some("Testing 123"),
        ..TEXT
    },
    Sample {
        file: "b-escpos-php-qr-code",
        codes: 19,
        snippets: &["QR code demo", "Binary", "Pixel size 10", "Micro QR code"],
        first_code: Some("Testing 123"),
        ..TEXT
    },
    Sample {
        file: "b-escpos-php-receipt-with-logo",
        kicks: 1,
        images: 1,
        snippets: &[
            "ExampleMart Ltd.",
            "SALES INVOICE",
            "Example item #1                             4.00",
            "Subtotal                                   12.95",
            "A local tax                                 1.30",
            "Total            $ 14.25",
            "Monday 6th of April 2015 02:56:25 PM",
        ],
        ..TEXT
    },
    Sample {
        file: "b-escpos-php-text-size",
        snippets: &[
            "Change height & width",
            "12345678",
            "Hello world!",
            "Hello\nworld!",
        ],
        ..TEXT
    },
    Sample {
        file: "b-thermal-test3",
        cuts: 0,
        codes: 1,
        snippets: &["The quick brown fox jumps over the lazy dog"],
        first_code: Some("https://nielsleenheer.com"),
        ..TEXT
    },
    Sample {
        file: "b-thermal-test4",
        cuts: 2,
        codes: 14,
        snippets: &[
            "the lazy dogThe is the first line",
            "underline bold italic",
            "normal height",
        ],
        first_code: Some("123456789111"),
        ..TEXT
    },
];
