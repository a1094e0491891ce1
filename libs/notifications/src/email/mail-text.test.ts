import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeEntities, htmlToText, isHtml } from './mail-text.js';

describe('isHtml', () => {
  it('knows markup from text', () => {
    for (const html of [
      '<h1>Hi</h1>',
      'a<br>b',
      'x <a href="https://e.com">y</a>',
      '<!DOCTYPE html>',
      '<P CLASS=x>',
      '</div>',
    ]) {
      assert.equal(isHtml(html), true, html);
    }
    for (const text of [
      'Hi',
      'a < b',
      'a<b and c>d'.replace('>', ''),
      '1 < 2 > 0',
      '<3',
      'x <- y',
      'Tom & Jerry',
      '<john@example.com>',
    ]) {
      assert.equal(isHtml(text), false, text);
    }
  });
});

describe('htmlToText', () => {
  const cases: [string, string][] = [
    ['<h1>Welcome</h1><p>One\n  two</p><p>Three</p>', 'Welcome\n\nOne two\n\nThree\n'],
    ['a<br>b<br/>c<br><br>d', 'a\nb\nc\n\nd\n'],
    ['<div>a</div><div><div>b</div></div>c', 'a\nb\nc\n'],
    ['<p>See <a href="https://e.com/x?a=1&amp;b=2">the page</a>.</p>', 'See the page (https://e.com/x?a=1&b=2).\n'],
    ['<a href="https://e.com">https://e.com</a>', 'https://e.com\n'],
    [
      '<a href="mailto:a@e.com">Write</a> <a href=\'javascript:alert(1)\'>no</a> <a>bare</a>',
      'Write (a@e.com) no bare\n',
    ],
    ['<a href="https://e.com"><img alt="Logo" src=x></a>', 'Logo (https://e.com)\n'],
    ['<a href="https://e.com"><img src=x></a>', 'https://e.com\n'],
    ['<ul><li>a</li><li>b<ul><li>c</ul></ul>d', '- a\n- b\n  - c\n\nd\n'],
    ['<ol><li>a<li>b</ol>', '1. a\n2. b\n'],
    ['<b>bold</b> and <i>it</i>alic', 'bold and italic\n'],
    ['<head><title>T</title><style>p{}</style></head><script>if (a<b) x()</script>text<!-- no --><style>x', 'text\n'],
    ['&lt;p&gt; &amp;amp; &#8364;&#x20AC; &nbsp;&unknown; &copy;', '<p> &amp; €€ &unknown; ©\n'],
    ['<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>', 'a b\n1 2\n'],
    ['<pre>a\n  b</pre>c', 'a\n  b\n\nc\n'],
    ['a<hr>b', 'a\n----------\nb\n'],
    ['1 < 2 and 3 > 2', '1 < 2 and 3 > 2\n'],
    ['<p title="a > b">x</p>', 'x\n'],
    ['<p', '<p\n'],
    ['', '\n'],
  ];
  for (const [html, text] of cases) it(JSON.stringify(html), () => assert.equal(htmlToText(html), text));

  it('keeps every word of a text that has no markup', () => {
    const words = fc.array(fc.stringMatching(/^[a-zA-Z0-9äöü.,]{1,10}$/), { minLength: 1 });
    fc.assert(
      fc.property(words, (list) => {
        assert.equal(htmlToText(`<p>${list.join(' ')}</p>`), `${list.join(' ')}\n`);
      }),
    );
  });

  it('takes linear time on what was made to be slow', () => {
    const hostile = [
      '<',
      '<a ',
      '<a "',
      '<a b="',
      '<!--',
      '<!-- -->',
      '&#',
      '<a b=">"',
      '<p>',
      '<ul><li>',
      '</ul>',
      ' \n',
      '<a href=x>',
      '<style>',
      '<title></title>',
      '<script>x</script',
    ];
    for (const part of hostile) {
      const cost = (length: number): number => {
        const html = part.repeat(Math.ceil(length / part.length));
        const before = process.cpuUsage();
        htmlToText(html);
        isHtml(html);
        decodeEntities(html);
        const { user, system } = process.cpuUsage(before);
        return user + system;
      };
      // 16 times as much costs 16 times as much or so, and 256 times where time is quadratic. The time of the processor,
      // not the clock: a busy machine changes it little.
      const small = Math.max(1_000, ...[1, 2, 3].map(() => cost(20_000)));
      const large = Math.min(...[1, 2, 3].map(() => cost(320_000)));
      assert.ok(large < small * 80, `${JSON.stringify(part)} took ${small} µs, 16 times as much of it ${large} µs`);
    }
  });
});
