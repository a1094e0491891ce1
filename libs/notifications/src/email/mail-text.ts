/** Elements after and before which text starts a new line. */
const BLOCKS = new Set(
  'address article aside blockquote center dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section table tbody tfoot thead tr ul'.split(
    ' ',
  ),
);
/** Blocks with an empty line around them. */
const SPACED = new Set('blockquote dl figure h1 h2 h3 h4 h5 h6 ol p pre table ul'.split(' '));
/** Elements whose text is not for readers. */
const HIDDEN = new Set(['script', 'style', 'template', 'title']);
const MARKUP = /<(?:!doctype|html|body|head|[a-z][a-z0-9]*(?:\s[^<>]*)?\/?>|\/[a-z][a-z0-9]*\s*>)/i;
/** Longest tag that is looked for; bounds the time on hostile input. */
const MAX_TAG = 4_096;
/** Levels of lists that are indented. */
const MAX_INDENT = 8;

const ENTITIES: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  copy: '©',
  reg: '®',
  trade: '™',
  hellip: '…',
  mdash: '—',
  ndash: '–',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  laquo: '«',
  raquo: '»',
  bull: '•',
  middot: '·',
  euro: '€',
  pound: '£',
  yen: '¥',
  cent: '¢',
  sect: '§',
  deg: '°',
  plusmn: '±',
  times: '×',
  divide: '÷',
  frac12: '½',
  auml: 'ä',
  ouml: 'ö',
  uuml: 'ü',
  Auml: 'Ä',
  Ouml: 'Ö',
  Uuml: 'Ü',
  szlig: 'ß',
  eacute: 'é',
  egrave: 'è',
  agrave: 'à',
  ccedil: 'ç',
  ntilde: 'ñ',
  zwnj: '',
  shy: '',
};

/** Whether a content is written in HTML. */
export function isHtml(content: string): boolean {
  return MARKUP.test(content);
}

/** Text with HTML's character references resolved; unknown ones stay as they are. */
export function decodeEntities(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z][a-zA-Z0-9]{1,8}));/g,
    (whole, dec, hex, name) => {
      if (name !== undefined) return Object.hasOwn(ENTITIES, name as string) ? ENTITIES[name as string]! : whole;
      const code = dec !== undefined ? Number(dec) : Number.parseInt(hex as string, 16);
      const usable = code === 9 || code === 10 || (code >= 32 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff));
      return usable ? String.fromCodePoint(code) : '';
    },
  );
}

interface List {
  ordered: boolean;
  count: number;
}

/** Writes words one after another with the line breaks that blocks ask for, each run of them once. */
class TextWriter {
  private readonly parts: string[] = [];
  private atLineStart = true;
  private breaks = 0;
  private space = false;
  private readonly lists: List[] = [];
  /** Address of the open link, and where its words began. */
  private link: { href: string; from: number } | undefined;
  preformatted = 0;

  words(raw: string): void {
    const text = decodeEntities(raw);
    if (this.preformatted > 0) return this.put(text, true);
    for (const part of text.split(/([ \t\r\n\f]+)/)) {
      if (/^[ \t\r\n\f]*$/.test(part)) this.space ||= part !== '';
      else this.put(part, false);
    }
  }

  open(tag: string, attributes: string): void {
    if (tag === 'br') this.append('\n');
    else if (BLOCKS.has(tag)) this.need(SPACED.has(tag) && this.lists.length === 0 ? 2 : 1);
    if (tag === 'ul' || tag === 'ol') this.lists.push({ ordered: tag === 'ol', count: 0 });
    else if (tag === 'li') this.item();
    else if (tag === 'hr') this.put('----------', false);
    else if (tag === 'pre') this.preformatted++;
    else if (tag === 'td' || tag === 'th') this.space = true;
    else if (tag === 'img') this.words(attribute(attributes, 'alt') ?? '');
    else if (tag === 'a') this.link = { href: attribute(attributes, 'href') ?? '', from: this.parts.length };
    if (tag === 'hr') this.need(1);
  }

  close(tag: string): void {
    if (tag === 'a') this.closeLink();
    if (tag === 'pre') this.preformatted = Math.max(0, this.preformatted - 1);
    if (tag === 'ul' || tag === 'ol') this.lists.pop();
    if (BLOCKS.has(tag)) this.need(SPACED.has(tag) && this.lists.length === 0 ? 2 : 1);
  }

  finish(): string {
    const lines = this.parts.join('').split('\n');
    return `${lines
      .map((line) => line.trimEnd())
      .join('\n')
      .trim()}\n`;
  }

  private item(): void {
    const list = this.lists.at(-1);
    const mark = list?.ordered ? `${++list.count}. ` : '- ';
    this.put('  '.repeat(Math.min(MAX_INDENT, Math.max(0, this.lists.length - 1))) + mark, true);
    this.space = false;
  }

  private closeLink(): void {
    const { link } = this;
    this.link = undefined;
    if (!link || !/^(https?|mailto|tel):/i.test(link.href)) return;
    const target = link.href.replace(/^(mailto|tel):/i, '');
    const shown = this.parts.slice(link.from).join('').trim();
    if (shown === '') this.put(target, false);
    else if (shown !== target && shown !== link.href) this.put(` (${target})`, true);
  }

  private need(breaks: number): void {
    if (this.parts.length > 0) this.breaks = Math.max(this.breaks, breaks);
    this.space = false;
  }

  private put(text: string, exact: boolean): void {
    const gap = this.space && !this.atLineStart && this.breaks === 0 && !exact ? ' ' : '';
    this.append(gap + text);
    this.space = false;
  }

  private append(text: string): void {
    if (this.breaks > 0) this.parts.push('\n'.repeat(this.breaks));
    if (text !== '') this.parts.push(text);
    this.atLineStart = text === '' ? this.atLineStart || this.breaks > 0 : text.endsWith('\n');
    this.breaks = 0;
  }
}

function attribute(attributes: string, name: string): string | undefined {
  const found = new RegExp(`(?:^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, 'i').exec(attributes);
  const value = found && (found[1] ?? found[2] ?? found[3]);
  // One line, whatever was written.
  return typeof value !== 'string' ? undefined : decodeEntities(value).replace(/\s+/g, ' ').trim();
}

/** Where a tag that opens at `from` ends: its `>` outside of quotes, or -1. */
function tagEnd(html: string, from: number): number {
  let quote = '';
  for (let at = from; at < html.length && at - from < MAX_TAG; at++) {
    const char = html[at]!;
    if (quote !== '') quote = char === quote ? '' : quote;
    else if (char === '>') return at;
    else if ((char === '"' || char === "'") && html[at - 1] === '=') quote = char;
  }
  return -1;
}

/** HTML as plain text: blocks on lines of their own, lists with marks, links with their addresses. Linear in length. */
export function htmlToText(html: string): string {
  const writer = new TextWriter();
  const lastEnd = html.lastIndexOf('>');
  let at = 0;
  while (at < html.length) {
    const next = html.indexOf('<', at);
    // Nothing closes a tag that opens after the last `>`.
    const open = next > lastEnd ? -1 : next;
    writer.words(html.slice(at, open === -1 ? undefined : open));
    if (open === -1) break;
    at = readMarkup(html, open, writer);
  }
  return writer.finish();
}

/** Reads what starts with `<`; answers where it ends. */
function readMarkup(html: string, open: number, writer: TextWriter): number {
  if (html.startsWith('<!--', open)) {
    const end = html.indexOf('-->', open + 4);
    return end === -1 ? html.length : end + 3;
  }
  const name = /^<(\/?)([a-zA-Z][a-zA-Z0-9]*)|^<[!?]/.exec(html.slice(open, open + 40));
  const end = name ? tagEnd(html, open) : -1;
  if (!name || end === -1) {
    writer.words('<');
    return open + 1;
  }
  const tag = name[2]?.toLowerCase();
  if (tag === undefined) return end + 1;
  if (HIDDEN.has(tag) && name[1] === '') {
    const close = new RegExp(`</${tag}`, 'gi');
    close.lastIndex = end;
    return close.exec(html)?.index ?? html.length;
  }
  if (name[1] === '/') writer.close(tag);
  else writer.open(tag, html.slice(open + name[0].length, end));
  return end + 1;
}
