// biome-ignore-all lint/suspicious/noTemplateCurlyInString: $GENERATE is written so
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type MasterSource, parseMasterFile, recordOf, recordText } from "./master-file.ts";
import { nameToWire, wireToName } from "./name.ts";
import { typeName } from "./record-types.ts";

const files: Record<string, string> = { "more.db": "sub A 192.0.2.7\n$ORIGIN other.example.com.\nx A 192.0.2.8" };
const include = (file: string): MasterSource | string =>
  files[file] === undefined ? "There is no such file" : { file, text: files[file] };
const parse = (text: string, ttl: number | null = 3600) =>
  parseMasterFile({ file: "zone.db", text }, { origin: nameToWire("example.com")!, ttl, include });
/** `owner ttl TYPE hex-or-name…` of each record; faults stop the test. */
const read = (text: string, ttl: number | null = 3600): string[] => {
  const { records, faults } = parse(text, ttl);
  expect(faults).toEqual([]);
  return records.map(
    (r) =>
      `${wireToName(r.owner)} ${r.ttl} ${typeName(r.type)} ${r.rdata
        .map((part) => (part instanceof Uint8Array ? Buffer.from(part).toString("hex") : wireToName(part.name)))
        .join(" ")}`,
  );
};
const faultsOf = (text: string): string[] => parse(text).faults.map((f) => `${f.file}:${f.line} ${f.message}`);

describe("a master file", () => {
  test("master.form: owners, origins, TTLs and classes in all their forms", () => {
    expect(
      read(`$TTL 1h
@ IN 300 A 192.0.2.1   ; a comment
     IN A 192.0.2.2
www 1d12h IN CNAME @
ftp.example.com. in cname www.example.com.
$ORIGIN deep.example.com.
a TYPE1 192.0.2.3
$TTL 5
\\065b A 192.0.2.4`),
    ).toEqual([
      "example.com 300 A c0000201",
      "example.com 3600 A c0000202",
      "www.example.com 129600 CNAME example.com",
      "ftp.example.com 3600 CNAME www.example.com",
      "a.deep.example.com 3600 A c0000203",
      "ab.deep.example.com 5 A c0000204",
    ]);
  });
  test("master.form: a record over several lines", () => {
    expect(read(`@ SOA ns admin.example.com. ( 7 ; serial\n 1h 10m\n 2w 30 )\n  NS ns`)).toEqual([
      "example.com 3600 SOA ns.example.com admin.example.com 00000007 00000e10 00000258 00127500 0000001e",
      "example.com 3600 NS ns.example.com",
    ]);
  });
  test("without a $TTL: the last one's, else the SOA's minimum, else a fault", () => {
    const soa = "@ SOA ns admin 1 1 1 1 77\n";
    expect(read(`${soa}a A 192.0.2.1\nb 9 A 192.0.2.1\nc A 192.0.2.1`, null).map((r) => r.split(" ")[1])).toEqual([
      "77",
      "77",
      "9",
      "9",
    ]);
    expect(parse("a A 192.0.2.1", null).faults[0]!.message).toContain("no TTL");
  });
  test("master.include: $INCLUDE ends with its own origin", () => {
    expect(read("$INCLUDE more.db in.example.com.\ny A 192.0.2.9").map((r) => r.split(" ")[0])).toEqual([
      "sub.in.example.com",
      "x.other.example.com",
      "y.example.com",
    ]);
    expect(faultsOf("\n$INCLUDE none.db")).toEqual(["zone.db:2 $INCLUDE none.db: There is no such file"]);
    files["loop.db"] = "$INCLUDE loop.db";
    expect(faultsOf("$INCLUDE loop.db")).toEqual(["loop.db:1 $INCLUDE goes deeper than 8"]);
  });
  test("master.generate: $GENERATE", () => {
    expect(read("$GENERATE 1-5/2 host-${0,3} A 192.0.2.$")).toEqual([
      "host-001.example.com 3600 A c0000201",
      "host-003.example.com 3600 A c0000203",
      "host-005.example.com 3600 A c0000205",
    ]);
    expect(read("$GENERATE 10-11 ${-9,2,x} 60 IN CNAME a\\$$.x.org.")).toEqual([
      "01.example.com 60 CNAME a$10.x.org",
      "02.example.com 60 CNAME a$11.x.org",
    ]);
    expect(faultsOf("$GENERATE 5-1 a$ A 192.0.2.1")[0]).toContain("empty");
    for (const place of ["${0,2,n}", "${x}", "${0,3", "${}"])
      expect(faultsOf(`$GENERATE 1-2 a${place} A 192.0.2.1`)).toEqual([
        `zone.db:1 $GENERATE: "a${place}": write $ or \${OFFSET,WIDTH,BASE}, the base being d, o, x or X`,
      ]);
    expect(faultsOf("$GENERATE 0-99999999 a$ A 192.0.2.1")[0]).toContain("65536");
  });
});

describe("RDATA", () => {
  const rdata = (text: string): string => read(`x ${text}`)[0]!.split(" ").slice(3).join(" ");
  test.each([
    ["MX 10 mail", "000a mail.example.com"],
    ['TXT "a b" c\\;d "\\"\\200"', "03612062 03633b64 0222c8"],
    ["SRV 1 2 443 a.b.", "0001 0002 01bb 01610162 00".replace("01610162 00", "0161016200")],
    ["AAAA 2001:DB8::1", "20010db8000000000000000000000001"],
    ["AAAA ::ffff:192.0.2.1", "00000000000000000000ffffc0000201"],
    ['CAA 0 issue "ca.example"', "00 056973737565 63612e6578616d706c65"],
    [
      "DS 60485 5 1 ( 2BB183AF5F22588179A53B0A 98631FAD1A292118 )",
      "ec45 05 01 2bb183af5f22588179a53b0a98631fad1a292118",
    ],
    ["TYPE731 \\# 6 abcd ( ef 01 23 45 )", "abcdef012345"],
    ["TYPE731 \\# 0", ""],
    ["A \\# 4 0A000001", "0a000001"],
    [
      'NAPTR 1 2 S SIP+D2U "" _sip._udp',
      "0001 0002 0153 075349502b443255 00 045f736970045f756470076578616d706c6503636f6d00",
    ],
  ])("%s", (text, hex) => expect(rdata(text)).toBe(hex));

  // RFC 9460 appendix D.
  test.each([
    ["SVCB 0 foo.example.com.", "0000 03666f6f076578616d706c6503636f6d00 "],
    ["SVCB 1 .", "0001 00 "],
    ["SVCB 16 foo.example.com. port=53", "0010 03666f6f076578616d706c6503636f6d00 000300020035"],
    ["SVCB 1 foo.example.com. key667=hello", "0001 03666f6f076578616d706c6503636f6d00 029b000568656c6c6f"],
    [
      'SVCB 1 foo.example.com. key667="hello\\210qoo"',
      "0001 03666f6f076578616d706c6503636f6d00 029b000968656c6c6fd2716f6f",
    ],
    [
      "SVCB 16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
      "0010 03666f6f076578616d706c65036f726700 0000000400010004000100090268320568332d313900040004c0000201",
    ],
    [
      'SVCB 16 foo.example.org. alpn="f\\\\\\\\oo\\\\,bar,h2"',
      "0010 03666f6f076578616d706c65036f726700 0001000c08665c6f6f2c626172026832",
    ],
    ['HTTPS 1 . alpn="h2,h3" no-default-alpn', "0001 00 00010006026832026833" + "00020000"],
  ])("%s", (text, hex) => expect(rdata(text)).toBe(hex));

  test.each([
    "SVCB 1 foo.example.com. ( key123=abc key123=def )",
    "SVCB 1 foo.example.com. mandatory",
    "SVCB 1 foo.example.com. alpn",
    "SVCB 1 foo.example.com. port",
    "SVCB 1 foo.example.com. ipv4hint",
    'SVCB 1 foo.example.com. no-default-alpn="abc"',
    "SVCB 1 foo.example.com. mandatory=key123",
    "SVCB 1 foo.example.com. mandatory=mandatory",
    "SVCB 1 foo.example.com. mandatory=key123,key123 key123=abc",
    "SVCB 1 foo.example.com. no-default-alpn",
    "SVCB 0 foo.example.com. port=53",
    "HTTPS 1 . ipv4hint=auto mandatory=ipv4hint",
    "HTTPS \\# 3 000100",
    "A \\# 3 010203",
    "AAAA \\# 4 01020304",
    "A 1.2.3",
    "A 1.2.3.4 5",
    "AAAA 1.2.3.4",
    "MX ten mail",
    "MX 10",
    "TXT",
    'TXT "open',
    "NS a..b",
    "CNAME \\# 1 00",
    "TYPE731 abcd",
    "TYPE731 \\# 2 ab",
    "TYPE255 \\# 0",
    "OPT \\# 0",
    "CH A 1.2.3.4",
    "DS 1 1 1 xyz",
    "NOSUCH a",
    "TXT ( a",
    "TXT a )",
    "TXT \\25",
  ])("svcb.form: %s is refused", (text) => expect(faultsOf(`x ${text}`).length).toBeGreaterThan(0));
});

describe("what a file makes has an end", () => {
  const ORIGIN = nameToWire("example.com")!;
  const read = (text: string, include: (file: string) => MasterSource | string = () => "none") =>
    parseMasterFile({ file: "zone", text }, { origin: ORIGIN, ttl: 60, include });

  test("a line of very many words", () => {
    expect(read(`a TXT ${"x ".repeat(1_200_000)}`).faults).toMatchObject([
      { message: "TXT is longer than 65,535 octets" },
    ]);
  });

  test("a line of $GENERATE that would make gigabytes", () => {
    const { faults, records } = read(`$GENERATE 0-65535 a$ TXT ${"x ".repeat(20_000)}`);
    expect(faults).toEqual([
      { file: "zone", line: 1, message: "the records up to here take more than 268435456 octets" },
    ]);
    expect(records.length).toBeLessThan(1000);
  });

  test("files that include many others each", () => {
    let opened = 0;
    const include = (file: string): MasterSource => {
      opened++;
      return { file, text: file.length > 6 ? "" : `$INCLUDE ${file}x\n`.repeat(100) };
    };
    const { faults } = read("$INCLUDE x", include);
    expect(faults.at(-1)!.message).toBe("more than 10000 files are included");
    expect(opened).toBe(10_000);
  });
});

test("master.form: whatever the text, the parser ends, and what it reads is read back the same", () => {
  const words = fc.constantFrom(
    "@",
    "a",
    "IN",
    "A",
    "192.0.2.1",
    "TXT",
    '"x y"',
    "(",
    ")",
    "\n",
    "\n ",
    ";c\n",
    "$TTL",
    "5",
    "$ORIGIN",
    "b.",
    "\\",
    "\\001",
    "MX",
    "10",
    "$GENERATE",
    "1-3",
    "$",
    "${1,2}",
    '"',
    "SVCB",
    "alpn=h2",
    "\\#",
    "CNAME",
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(words, fc.string({ maxLength: 6 })), { maxLength: 40 }), (parts) => {
      const { records } = parse(parts.join(" "));
      for (const record of records) expect(recordOf(recordText(record))).toEqual(record);
    }),
    { numRuns: 500 },
  );
});
