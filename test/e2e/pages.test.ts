import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { chromium, type Browser, type Page } from 'playwright-core';
import { aTenant, startApi, type TestApi } from '../support/api.js';
import { chromiumPath } from '../support/chromium.js';

const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const executablePath = chromiumPath();
const skip = executablePath ? false : 'no Chromium: set CHROMIUM_PATH';

describe('The documentation pages in a real browser', { skip }, () => {
  let api: TestApi;
  let browser: Browser;
  let page: Page;
  let requested: string[];
  let complaints: string[];

  before(async () => {
    api = await startApi();
    browser = await chromium.launch({ executablePath, args: ARGS });
  });
  after(async () => {
    await browser?.close();
    await api?.stop();
  });

  beforeEach(async () => {
    requested = [];
    complaints = [];
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.setDefaultTimeout(20_000);
    page.context().on('request', (request) => requested.push(request.url()));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
  });
  afterEach(() => page.context().close());

  /** Keeps a picture where PAGES_SCREENSHOTS says, for people to look at. */
  async function picture(name: string): Promise<void> {
    const folder = process.env['PAGES_SCREENSHOTS'];
    if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
  }

  /** The page asked its own server only, and the browser had nothing to complain about. */
  function assertSelfContained(): void {
    const { host } = new URL(api.url);
    const foreign = requested.filter((url) => /^(https?|wss?):/.test(url) && new URL(url).host !== host);
    assert.deepEqual(foreign, [], 'requests to other hosts');
    assert(requested.length > 0);
    assert.deepEqual(complaints, [], 'errors in the console');
  }

  async function operationsOfTheDocument(): Promise<number> {
    const document = (await (await fetch(`${api.url}/openapi.json`)).json()) as Record<
      'paths' | 'webhooks',
      Record<string, object>
    >;
    return [...Object.values(document.paths), ...Object.values(document.webhooks)].reduce(
      (sum, path) => sum + Object.keys(path).length,
      0,
    );
  }

  it('/docs shows every operation and asks no other host', async () => {
    await page.goto(`${api.url}/docs`, { waitUntil: 'networkidle' });
    await page.locator('.opblock').first().waitFor();
    assert.equal(await page.locator('.opblock').count(), await operationsOfTheDocument());
    assert.equal(await page.locator('.errors-wrapper').count(), 0, 'Swagger UI finds no fault in the document');
    await picture('docs');
    assertSelfContained();
  });

  it('/redoc shows the reference and asks no other host', async () => {
    await page.goto(`${api.url}/redoc`, { waitUntil: 'networkidle' });
    await page.getByRole('heading', { name: 'ChatAPI' }).first().waitFor();
    const operations = page.locator('[data-section-id*="/operation/"], [id*="/operation/"]');
    await operations.first().waitFor();
    assert((await operations.count()) >= (await operationsOfTheDocument()));
    await page.getByRole('heading', { name: 'Send a message' }).first().scrollIntoViewIfNeeded();
    await picture('redoc');
    assertSelfContained();
  });

  it('/docs takes a key, and Try it out really creates a user', async () => {
    const tenant = await aTenant(api);
    const username = `tried-${randomUUID()}`;
    await page.goto(`${api.url}/docs`, { waitUntil: 'networkidle' });

    await page.locator('.auth-wrapper button.authorize').first().click();
    await page.locator('.modal-ux input').first().fill(tenant.key);
    await page.locator('.modal-ux button.authorize').click();
    await page.locator('.modal-ux button.btn-done').click();

    const operation = page.locator('.opblock', { has: page.locator('[data-path="/api/v1/users"]') });
    const create = operation.and(page.locator('.opblock-post'));
    await create.locator('.opblock-summary-control').click();
    await create.locator('button.try-out__btn').click();
    await create
      .locator('textarea.body-param__text')
      .fill(JSON.stringify({ email: `${username}@example.com`, username }));
    await create.locator('button.execute').click();
    const status = create.locator('.live-responses-table tbody .response-col_status');
    await status.waitFor();
    await picture('docs-try-it-out');
    assert.match(await status.innerText(), /^201\b/);

    const listed = await api.call('GET', '/users', { key: tenant.key });
    assert.equal(listed.status, 200);
    assert.deepEqual(
      listed.body.data.map((user: { username: string }) => user.username),
      [username],
    );
    assertSelfContained();
  });
});
