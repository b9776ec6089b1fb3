//! Pages of single languages, from the mapping tables of IBM, ISO and the makers. Each table holds 128
//! characters for 0x80 to 0xFF; U+FFFD marks a code without one.

/// Code page 771: Lithuanian and Russian.
pub(in super::super) const CP771: &str = concat!(
    "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
    "абвгдежзийклмноп░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█ĄąČč",
    "рстуфхцчшщъыьэюяĘęĖėĮįŠšŲųŪūŽž■\u{a0}",
);

/// Code page 772: Lithuanian.
pub(in super::super) const CP772: &str = concat!(
    "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
    "абвгдежзийклмноп░▒▓│┤ĄČĘĖ╣║╗╝ĮŠ┐",
    "└┴┬├─┼ŲŪ╚╔╩╦╠═╬Žąčęėįšųūž┘┌█▄▌▐▀",
    "рстуфхцчшщъыьэюяЁё≥≤„“÷≈°∙·√ⁿ²■\u{a0}",
);

/// Code page 774: Lithuanian.
pub(in super::super) const CP774: &str = concat!(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ",
    "áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤ĄČĘĖ╣║╗╝ĮŠ┐",
    "└┴┬├─┼ŲŪ╚╔╩╦╠═╬Žąčęėįšųūž┘┌█▄▌▐▀",
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤„“÷≈°∙·√ⁿ²■\u{a0}",
);

/// Code page 851: Greek.
pub(in super::super) const CP851: &str = concat!(
    "ÇüéâäàΆçêëèïîΈÄΉΊ\u{fffd}ΌôöΎûùΏÖÜά£έήί",
    "ϊΐόύΑΒΓΔΕΖΗ½ΘΙ«»░▒▓│┤ΚΛΜΝ╣║╗╝ΞΟ┐",
    "└┴┬├─┼ΠΡ╚╔╩╦╠═╬ΣΤΥΦΧΨΩαβγ┘┌█▄δε▀",
    "ζηθικλμνξοπρσςτ´\u{ad}±υφχ§ψ¸°¨ωϋΰώ■\u{a0}",
);

/// Code page 853: Turkish, Maltese, Esperanto.
pub(in super::super) const CP853: &str = concat!(
    "ÇüéâäàĉçêëèïîìÄĈÉċĊôöòûùİÖÜĝ£Ĝ×ĵ",
    "áíóúñÑĞğĤĥ\u{fffd}½Ĵş«»░▒▓│┤ÁÂÀŞ╣║╗╝Żż┐",
    "└┴┬├─┼Ŝŝ╚╔╩╦╠═╬¤\u{fffd}\u{fffd}ÊËÈıÍÎÏ┘┌█▄\u{fffd}Ì▀",
    "ÓßÔÒĠġµĦħÚÛÙŬŭ\u{fffd}´\u{ad}\u{fffd}ℓŉ˘§÷¸°¨˙\u{fffd}³²■\u{a0}",
);

/// Code page 864: Arabic.
pub(in super::super) const CP864: &str = concat!(
    "°·∙√▒─│┼┤┬├┴┐┌└┘β∞φ±½¼≈«»ﻷﻸ\u{fffd}\u{fffd}ﻻﻼ\u{fffd}",
    "\u{a0}\u{ad}ﺂ£¤ﺄ\u{fffd}\u{fffd}ﺎﺏﺕﺙ،ﺝﺡﺥ٠١٢٣٤٥٦٧٨٩ﻑ؛ﺱﺵﺹ؟",
    "¢ﺀﺁﺃﺅﻊﺋﺍﺑﺓﺗﺛﺟﺣﺧﺩﺫﺭﺯﺳﺷﺻﺿﻁﻅﻋﻏ¦¬÷×ﻉ",
    "ـﻓﻗﻛﻟﻣﻧﻫﻭﻯﻳﺽﻌﻎﻍﻡﹽ\u{651}ﻥﻩﻬﻰﻲﻐﻕﻵﻶﻝﻙﻱ■\u{fffd}",
);

/// Code page 928 as Star prints it: ISO 8859-7 below letters of code page 437.
pub(in super::super) const CP928: &str = concat!(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ",
    "\u{a0}‘’£\u{fffd}\u{fffd}¦§¨©\u{fffd}«¬\u{ad}\u{fffd}―°±²³΄΅Ά·ΈΉΊ»Ό½ΎΏ",
    "ΐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡ\u{fffd}ΣΤΥΦΧΨΩΪΫάέήί",
    "ΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώ\u{fffd}",
);

/// Code page 1001: Arabic.
pub(in super::super) const CP1001: &str = concat!(
    "ءآأؤإﺋابﺑةتﺗثﺛدذرزسﺳﺴشﺷﺸصﺻﺼضﺿﻀطظ",
    "عﻋغﻏفﻓقﻗكکلﻷﻹﻻ┘مﻣنﻧهﻫوىٹﻳ│،؛؟ﺂﺄﺊ",
    "└جﺟحﺣخﺧﻊﻌﻎﻏﻸﻺﻼﻫﻬ٠ﻰ─\u{fffd}٠١٢٣٤٥٦٧٨٩\u{fffd}\u{fffd}",
    "\u{fffd}\u{fffd}ﻻ\u{fffd}\u{fffd}\u{fffd}\u{fffd}┴ΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
);

/// Code page 1098: Farsi.
pub(in super::super) const CP1098: &str = concat!(
    "\u{fffd}\u{fffd}،؛؟\u{64b}آﺂ\u{f8fa}اﺎ\u{f8fb}ءأﺄ\u{f8f9}ؤﺋبﺑﭖﭘتﺗثﺛجﺟﭺﭼ×ح",
    "ﺣخﺧدذرزﮊسﺳشﺷصﺻ«»░▒▓│┤ضﺿﻁﻃ╣║╗╝¤ﻅ┐",
    "└┴┬├─┼ﻇع╚╔╩╦╠═╬\u{fffd}ﻊﻋﻌغﻎﻏﻐفﻓ┘┌█▄قﻗ▀",
    "ﮎﻛﮒﮔلﻟمﻣنﻧوهﻫﻬﮤﯼ\u{ad}ﯽﯾـ٠١٢٣٤٥٦٧٨٩■\u{a0}",
);

/// Code page 3001: Estonian.
pub(in super::super) const CP3001: &str = concat!(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒ",
    "áíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐",
    "└┴┬├─┼ãÃ╚╔╩╦╠═╬¤šŠÊËÈıÍÎÏ┘┌█▄¦Ì▀",
    "ÓßÔÒõÕµžŽÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}",
);

/// Code page 3002: Estonian.
pub(in super::super) const CP3002: &str = concat!(
    "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
    " ¡¢£¤¥¦§¨©ª«¬\u{ad}®‾°±²³´µ¶·¸¹º»¼½¾¿",
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏŠÑÒÓÔÕÖ×ØÙÚÛÜÝŽß",
    "àáâãäåæçèéêëìíîïšñòóôõö÷øùúûüýžÿ",
);

/// Code page 3011: Latvian.
pub(in super::super) const CP3011: &str = concat!(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ",
    "áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤Ā╢ņ╕╣║╗╝╜╛┐",
    "└┴┬├─┼ā╟╚╔╩╦╠═╬╧Š╤čČ╘╒ģĪī┘┌█▄ūŪ▀",
    "αßΓπΣσµτΦΘΩδ∞φε∩ĒēĢķĶļĻžŽ∙·√Ņš■\u{a0}",
);

/// Code page 3012: Latvian and Russian.
pub(in super::super) const CP3012: &str = concat!(
    "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
    "абвгдежзийклмноп░▒▓│┤Ā╢ņ╕╣║╗╝Ō╛┐",
    "└┴┬├─┼ā╟╚╔╩╦╠═╬╧Š╤čČ╘╒ģĪī┘┌█▄ūŪ▀",
    "рстуфхцчшщъыьэюяĒēĢķĶļĻžŽō·√Ņš■\u{a0}",
);

/// Code page 3021: Bulgarian (MIK).
pub(in super::super) const CP3021: &str = concat!(
    "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
    "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "└┴┬├─┼╣║╚╔╩╦╠═╬┐░▒▓│┤№§╗╝┘┌█▄▌▐▀",
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
);

/// Code page 3041: Maltese.
pub(in super::super) const CP3041: &str = concat!(
    "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
    "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
    "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
    "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
);

/// Code page 3840: Russian.
pub(in super::super) const CP3840: &str = concat!(
    "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
    "абвгдежзийклмноп░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
    "рстуфхцчшщъыьэюя≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
);

/// Code page 3841: GOST 13052.
pub(in super::super) const CP3841: &str = concat!(
    "ғәёіїјҝөўүӽӈҹҷє£ҒӘЁІЇЈҜӨЎҮӼӇҸҶЄЪ",
    " !\"#¤%&'()*+,-./0123456789:;<=>?",
    "юабцдефгхийклмнопярстужвьызшэщчъ",
    "ЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧ∅",
);

/// Code page 3843: Polish (Mazovia).
pub(in super::super) const CP3843: &str = concat!(
    "ÇüéâäàąçêëèïîćÄĄĘęłôöĆûùŚÖÜ¢Ł¥śƒ",
    "ŹŻóÓńŃźż¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
);

/// Code page 3844: Czech and Slovak (Kamenický).
pub(in super::super) const CP3844: &str = concat!(
    "ČüéďäĎŤčěĚĹÍľĺÄÁÉžŽôöÓůÚýÖÜŠĽÝŘť",
    "áíóúňŇŮÔšřŕŔ¼§«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
);

/// Code page 3845: Hungarian.
pub(in super::super) const CP3845: &str = concat!(
    "ÇüéâäàåçêëèïîÍÄÁÉæÆőöÓűÚŰÖÜ¢£¥₧ƒ",
    "áíóúñÑªŐ¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
);

/// Code page 3846: Turkish.
pub(in super::super) const CP3846: &str = concat!(
    "ÇüéâäàåçêëèïîıÄÅÉæÆôöòûùİÖÜ¢£¥Şş",
    "áíóúñÑĞğ¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
);

/// Code page 3847: Portuguese of Brazil (ABNT).
pub(in super::super) const CP3847: &str = concat!(
    "\u{80}\u{81}\u{82}\u{83}\u{84}\u{85}\u{86}\u{87}\u{88}\u{89}\u{8a}\u{8b}\u{8c}\u{8d}\u{8e}\u{8f}\u{90}\u{91}\u{92}\u{93}\u{94}\u{95}\u{96}\u{97}\u{98}\u{99}\u{9a}\u{9b}\u{9c}\u{9d}\u{9e}\u{9f}",
    "\u{a0}¡¢£¤¥¦§¨©ª«¬\u{ad}®¯°±²³´µ¶·¸¹º»¼½¾¿",
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ\u{fffd}ØÙÚÛÜÝÞß",
    "àáâãäåæçèéêëìíîïðñòóôõö\u{fffd}øùúûüýþÿ",
);

/// Code page 3848: Portuguese of Brazil (ABICOMP).
pub(in super::super) const CP3848: &str = concat!(
    "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
    "\u{a0}ÀÁÂÃÄÇÈÉÊËÌÍÎÍÑÒÓÔÕÖÆÙÚÛÜŸ¨£¦§°",
    "¡àáâãäçèéêëìíîïñòóôõöæùúûüÿßªº¿±",
    "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
);

/// KZ-1048: Kazakh.
pub(in super::super) const KZ1048: &str = concat!(
    "ЂЃ‚ѓ„…†‡€‰Љ‹ЊҚҺЏђ‘’“”•–—\u{fffd}™љ›њқһџ",
    "\u{a0}ҰұӘ¤Ө¦§Ё©Ғ«¬\u{ad}®Ү°±Ііөµ¶·ё№ғ»әҢңү",
    "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
    "абвгдежзийклмнопрстуфхцчшщъыьэюя",
);

/// TCVN-3: Vietnamese, small letters.
pub(in super::super) const TCVN3: &str = concat!(
    "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
    "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}ăâêôơưđ\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}àảãáạ\u{fffd}ằẳẵắ\u{fffd}",
    "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}ặầẩẫấậè\u{fffd}ẻẽéẹềểễếệìỉ\u{fffd}\u{fffd}\u{fffd}ĩíịò",
    "\u{fffd}ỏõóọồổỗốộờởỡớợù\u{fffd}ủũúụừửữứựỳỷỹýỵ\u{fffd}",
);

/// TCVN-3: Vietnamese, capital letters.
pub(in super::super) const TCVN3_CAPITALS: &str = concat!(
    "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
    "\u{fffd}ĂÂ\u{fffd}\u{fffd}\u{fffd}\u{fffd}Ð\u{fffd}\u{fffd}ÊÔƠƯ\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}ÀẢÃÁẠ\u{fffd}ẰẲẴẮ\u{fffd}",
    "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}ẶẦẨẪẤẬÈ\u{fffd}ẺẼÉẸỀỂỄẾỆÌỈ\u{fffd}\u{fffd}\u{fffd}ĨÍỊÒ",
    "\u{fffd}ỎÕÓỌỒỔỖỐỘỜỞỠỚỢÙ\u{fffd}ỦŨÚỤỪỬỮỨỰỲỶỸÝỴ\u{fffd}",
);

/// Star's own page, which its printers start with.
pub(in super::super) const STAR_STANDARD: &str = concat!(
    "\u{a0}🭰🭶🭱🭷🭲🭸🭳🭹🭴🭺🭵├🭻🭼🭾🭿🭽▘▗▖▝╱╲◥◤┌┴┬┤♦╳",
    "ÄÖÜß§ªº\u{fffd}¢½\u{fffd}\u{fffd}¥¼Āëéèēêïíìīîöóòōôüú",
    "ùūûç¿\u{fffd}\u{fffd}Ēↄ¡ÅøØäáàāâ°℃℉ΩµΣσ\u{fffd}\u{fffd}χ∞±÷π",
    "▌▄▀▐┼┘└┐█▒⏊←↑→↓╭⏉🮃\u{fffd}▁▍\u{fffd}🮈▚▞◢◣🬰⏸╰╯╮",
);
