import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { startApi, type TestApi } from '../support/api.js';
import { chromiumPath } from '../support/chromium.js';

const executablePath = chromiumPath();
const skip = executablePath ? false : 'no Chromium: set CHROMIUM_PATH';
const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];

describe('The example chat in a real browser', { skip }, () => {
  let api: TestApi;
  let browser: Browser;
  const requested: string[] = [];
  const complaints: string[] = [];
  before(async () => {
    api = await startApi();
    browser = await chromium.launch({ executablePath, args: ARGS });
  });
  after(async () => {
    await browser?.close();
    await api?.stop();
  });

  async function aWindow(context: BrowserContext): Promise<Page> {
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => requested.push(request.url()));
    page.on('websocket', (socket) => requested.push(socket.url()));
    await page.goto(`${api.url}/examples/chat`);
    return page;
  }

  async function enter(page: Page, name: string): Promise<void> {
    await page.locator('#name').fill(name);
    await page.locator('#who button.main').click();
    await online(page);
  }

  const online = (page: Page) => page.locator('#state.on').waitFor();
  const contents = (page: Page) => page.locator('.message:not(.waiting) .content').allInnerTexts();
  const say = async (page: Page, text: string) => {
    await page.locator('#text').fill(text);
    await page.locator('#composer button').click();
    await page.locator('.message:not(.waiting)', { hasText: text }).waitFor();
  };
  const hears = (page: Page, text: string) => page.locator('.message .content', { hasText: text }).waitFor();

  async function edit(page: Page, from: string, to: string): Promise<void> {
    page.once('dialog', (dialog) => void dialog.accept(to));
    const message = page.locator('.message', { hasText: from });
    await message.hover();
    await message.getByRole('button', { name: 'edit' }).click();
    await page.locator('.message', { hasText: to }).waitFor();
  }

  async function remove(page: Page, text: string): Promise<void> {
    const message = page.locator('.message', { hasText: text });
    await message.hover();
    await message.getByRole('button', { name: 'delete' }).click();
    await message.waitFor({ state: 'detached' });
  }

  async function picture(page: Page, name: string): Promise<void> {
    const folder = process.env['PAGES_SCREENSHOTS'];
    if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
  }

  it('two windows chat, see each other type, and one that was offline catches up exactly', async () => {
    const first = await browser.newContext({ viewport: { width: 1000, height: 800 } });
    const anna = await aWindow(first);
    await picture(anna, 'chat-start');
    await enter(anna, 'Anna');
    // The second window shares the demo, not the network: it can be cut off alone.
    const second = await browser.newContext({
      viewport: { width: 1000, height: 800 },
      storageState: await first.storageState(),
    });
    const ben = await aWindow(second);
    await enter(ben, 'Ben');

    await say(anna, 'Hello Ben');
    await hears(ben, 'Hello Ben');
    await say(ben, 'Hello Anna');
    await hears(anna, 'Hello Anna');
    await anna.locator('#text').pressSequentially('I am wri');
    await ben.locator('#typing', { hasText: 'Anna is typing' }).waitFor();
    await ben.locator('.person.online', { hasText: 'Anna' }).waitFor();
    await anna.locator('.person.online', { hasText: 'Ben' }).waitFor();
    await picture(ben, 'chat-typing');

    for (const cut of [
      { off: () => second.setOffline(true), on: () => second.setOffline(false) },
      { off: () => ben.locator('#switch').click(), on: () => ben.locator('#switch').click() },
    ]) {
      await say(anna, 'to be edited');
      await say(anna, 'to be deleted');
      await hears(ben, 'to be deleted');
      await cut.off();
      await ben.locator('#state:not(.on)').waitFor();
      await edit(anna, 'to be edited', 'edited meanwhile');
      await remove(anna, 'to be deleted');
      await say(anna, 'sent meanwhile');
      await ben.locator('#text').fill('written offline');
      await ben.locator('#composer button').click();
      await ben.locator('.message.waiting').waitFor();
      await cut.on();
      await online(ben);
      await ben.locator('.message.waiting').waitFor({ state: 'detached' });
      await hears(anna, 'written offline');
      await hears(ben, 'sent meanwhile');
      assert.deepEqual(await contents(ben), await contents(anna));
      // For the next round.
      await remove(ben, 'written offline');
      await remove(anna, 'sent meanwhile');
      await remove(anna, 'edited meanwhile');
      await ben.locator('.message', { hasText: 'edited meanwhile' }).waitFor({ state: 'detached' });
    }
    // Nothing was kept in memory only: a fresh page starts from what was stored and the changes after it.
    await say(anna, 'still there');
    await hears(ben, 'still there');
    await ben.reload();
    await ben.locator('#users button', { hasText: 'Ben' }).click();
    await online(ben);
    await hears(ben, 'still there');
    assert.deepEqual(await contents(ben), await contents(anna));
    await picture(anna, 'chat');

    const { host } = new URL(api.url);
    const foreign = requested.filter((url) => /^(https?|wss?):/.test(url) && new URL(url).host !== host);
    assert.deepEqual(foreign, [], 'requests to other hosts');
    assert.ok(!requested.some((url) => /(ck_live|sk_user)_/.test(url)), 'no key in a URL');
    // Cut off on purpose, the browser says so.
    const unexpected = complaints.filter((text) => !/ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED/.test(text));
    assert.deepEqual(unexpected, [], 'errors in the console');
  });

  it('is served under the strict policy, and not at all in production', async () => {
    const { headers } = await fetch(`${api.url}/examples/chat`);
    assert.match(
      headers.get('content-security-policy') ?? '',
      /^default-src 'self'; script-src 'self' 'sha256-[^']+'; /,
    );
    const live = await startApi({ NODE_ENV: 'production', ENCRYPTION_KEY: randomBytes(32).toString('base64') });
    for (const path of ['/examples/chat', '/examples/socket.io.min.js'])
      assert.equal((await fetch(live.url + path)).status, 404);
    await live.stop();
  });
});
