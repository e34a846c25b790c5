// A person's walk through the tracker in a real browser: by keyboard alone, checked by axe on every page.
// usage: node walk.mjs BASE_URL CHROMIUM SHOTS_FOLDER full|short [FAULT]; the last line is a JSON object of figures.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [base, executablePath, shots, form, fault] = process.argv.slice(2);
const axeSource = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-quic'];
const figures = { pages: 0, violations: 0, console_errors: 0, screenshots: 0, steps: 0 };
const complaints = [];
const colorSchemes = form === 'short' ? ['dark'] : ['light', 'dark'];
const widths = form === 'short' ? [390] : [390, 1280];

const browser = await chromium.launch({ executablePath, args });

async function person() {
  // Still pages: axe would measure a contrast in the middle of a change of colour.
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.on('console', message => {
    // The browser itself reports responses with an error status; those are looked at by status.
    if (message.type() === 'error' && !/status of [45]/.test(message.text())) {
      figures.console_errors += 1;
      complaints.push(`console: ${message.text()}`);
    }
  });
  page.on('pageerror', error => {
    figures.console_errors += 1;
    complaints.push(`script: ${error}`);
  });
  return page;
}

// Looks at the page as it is now: axe in both colour schemes, no sideways scrolling, pictures at two widths.
async function look(page, name) {
  figures.pages += 1;
  if (fault === 'unlabelled-field') {
    await page.evaluate(() => document.querySelector('main').append(document.createElement('input')));
  }
  if (fault === 'console-error') await page.evaluate(() => console.error('planted'));
  for (const colorScheme of colorSchemes) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(axeSource);
    const result = await page.evaluate(() => axe.run(document));
    for (const violation of result.violations) {
      figures.violations += 1;
      complaints.push(`axe ${name} ${colorScheme}: ${violation.id} at ${violation.nodes.map(node => node.target)}`);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  for (const width of widths) {
    await page.setViewportSize({ width, height: 800 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= width, `${name} scrolls sideways at ${width}: ${wide}`);
    await page.screenshot({ path: `${shots}/${name}-${width}.png`, fullPage: true });
    figures.screenshots += 1;
  }
}

// Moves by Tab until the element has the focus, as somebody without a mouse does.
async function tabTo(page, selector) {
  for (let presses = 0; presses < 60; presses += 1) {
    if (await page.evaluate(s => document.activeElement?.matches(s) ?? false, selector)) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`${selector} cannot be reached by keyboard on ${page.url()}`);
}

async function type(page, selector, text) {
  await tabTo(page, selector);
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.type(text);
  figures.steps += 1;
}

async function press(page, selector, url) {
  await tabTo(page, selector);
  const here = page.url();
  await Promise.all([page.waitForURL(there => there.href !== here), page.keyboard.press('Enter')]);
  await page.waitForURL(url);
  figures.steps += 1;
}

// The same for a form that leads back to its own page.
async function submit(page, selector, toast) {
  await tabTo(page, selector);
  await Promise.all([page.waitForEvent('load'), page.keyboard.press('Enter')]);
  await page.waitForFunction(text => document.querySelector('.toast')?.textContent.includes(text), toast);
  figures.steps += 1;
}

// The browser closes a dialog some time after the key, and takes the focus out of it after that.
async function escape(page) {
  await page.keyboard.press('Escape');
  const isClosed = () => !document.querySelector('dialog[open]') && !document.activeElement?.closest('dialog');
  await page.waitForFunction(isClosed);
  await page.evaluate(() => new Promise(done => requestAnimationFrame(() => setTimeout(done))));
  figures.steps += 1;
}

// Reloads until the worker has written what the page must tell.
async function told(page, text) {
  for (let tries = 0; tries < 40; tries += 1) {
    if ((await page.textContent('main')).includes(text)) return;
    await page.waitForTimeout(250);
    await page.reload();
  }
  assert.fail(`${page.url()} never tells: ${text}`);
}

const unique = process.pid.toString(36);
const slug = `walk-${unique}`;

async function signUp(page, name) {
  await page.goto(`${base}/`);
  if (name === 'Ada') await look(page, 'welcome');
  await press(page, 'main a[href^="/sign-up"]', '**/sign-up*');
  if (name === 'Ada') await look(page, 'sign-up');
  await type(page, 'input[name=name]', name);
  await type(page, 'input[name=email]', `${name.toLowerCase()}-${unique}@example.com`);
  await type(page, 'input[name=password]', 'correct horse battery');
  await press(page, "main form button[type=submit]", "**/workspaces/new");
}

const ada = await person();
await signUp(ada, 'Ada');
await look(ada, 'workspace-new');
await ada.goto(`${base}/api/v1/reference`);
await ada.evaluate(() => document.querySelectorAll('details').forEach(operation => { operation.open = true; }));
await look(ada, 'reference');
await ada.goto(`${base}/workspaces`);
await look(ada, 'workspaces-empty');
await press(ada, 'main a[href="/workspaces/new"]', '**/workspaces/new');
await type(ada, 'input[name=name]', 'Walkers');
await type(ada, 'input[name=slug]', slug);
await press(ada, 'main form button[type=submit]', `**/w/${slug}/**`);
await look(ada, 'projects');

await press(ada, `main a[href="/w/${slug}/projects/new"]`, '**/projects/new');
await look(ada, 'project-new');
await type(ada, 'input[name=name]', 'Boots');
await type(ada, 'input[name=key]', 'BOOT');
await press(ada, 'main form button[type=submit]', `**/w/${slug}/projects/proj_*`);
const project = ada.url();
await look(ada, 'issues-empty');

await press(ada, 'main a[href$="/issues/new"]', '**/issues/new');
await look(ada, 'issue-new');
await type(ada, 'input[name=title]', 'The left one squeaks <script>alert(1)</script>');
await press(ada, 'main form button[type=submit]', `**/w/${slug}/**`);
await look(ada, 'after-issue');

await ada.goto(project);
await type(ada, 'input[name=q]', 'squeaks');
await ada.waitForFunction(() => document.querySelectorAll('#issue-list a').length > 0);
const found = ada.locator('#issue-list a', { hasText: 'The left one squeaks' }).first();
const issue = new URL(await found.getAttribute('href'), base).href;
await look(ada, 'issues-found');
await ada.goto(issue);
assert.match(await ada.textContent('h1'), /The left one squeaks <script>/);
await look(ada, 'issue');

// Labels: made on their page, put on the issue, found by.
await ada.keyboard.press('l');
await ada.waitForURL(`**/w/${slug}/labels`);
await look(ada, 'labels-empty');
await type(ada, '#field-name', 'noise');
await tabTo(ada, '#field-colour');
await ada.keyboard.press('ArrowDown');
await submit(ada, 'main form button[type=submit]', 'Label created.');
await tabTo(ada, '.label-edit summary');
await ada.keyboard.press('Enter');
await look(ada, 'labels');
await ada.goto(issue);
await tabTo(ada, 'input[name=labels]');
await ada.keyboard.press('Space');
await tabTo(ada, '.split-side form button[type=submit]');
await submit(ada, '.split-side form button[type=submit]', 'Changes saved.');
assert.equal(await ada.textContent('.labels .label'), 'noise');

// Comments: one that is refused, one that stands, changed afterwards; what happened is told in order.
await tabTo(ada, '.comments > form button[type=submit]');
await ada.keyboard.press('Enter');
await ada.waitForSelector('#field-comment[aria-invalid=true]');
await look(ada, 'comment-refused');
await type(ada, '#field-comment', 'Only on wet days. <b>Really</b>');
await Promise.all([ada.waitForEvent('load'), ada.keyboard.press('ControlOrMeta+Enter')]);
await ada.waitForSelector('.comment');
assert.match(await ada.textContent('.comment .prose'), /wet days\. <b>Really/);
await tabTo(ada, '.comment summary');
await ada.keyboard.press('Enter');
await type(ada, '.comment textarea', 'Only on rainy days.');
await submit(ada, '.comment form button[type=submit]', 'Comment saved.');
await told(ada, 'Ada commented');
await told(ada, 'Ada added the label');
assert.match(await ada.textContent('.history'), /opened this issue.*added the label/s);
await look(ada, 'issue-discussed');

await ada.goto(project);
await tabTo(ada, '#field-label');
await ada.keyboard.press('ArrowDown');
await ada.waitForURL(/label=lab_/);
await ada.waitForFunction(() => document.querySelectorAll('#issue-list .label').length === 1);
await look(ada, 'issues-by-label');

// A file with an error, and then without.
const file = text => ({ name: 'issues.csv', mimeType: 'text/csv', buffer: Buffer.from(text) });
await ada.goto(project);
await press(ada, 'main a[href$="/issues/import"]', '**/issues/import');
await look(ada, 'import');
await ada.setInputFiles('#field-upload', file('title,status\nTighten the laces,open\n,closed\n'));
await tabTo(ada, 'main form button[type=submit]');
await ada.keyboard.press('Enter');
await ada.waitForSelector('.problems tbody tr:nth-child(2)');
assert.match(await ada.textContent('#import-outcome'), /There are 2 problems/);
await look(ada, 'import-refused');
await ada.setInputFiles('#field-upload', file('title,status\nTighten the laces,open\nWax the leather,done\n'));
await press(ada, 'main form button[type=submit]', '**/issues/import?first=*');
assert.match(await ada.textContent('#import-outcome'), /2 issues were imported: BOOT-2 to BOOT-3/);
await look(ada, 'import-done');

// The palette, by keyboard alone: open, type, choose, go; and the shortcuts.
await ada.keyboard.press('ControlOrMeta+k');
await ada.waitForSelector('#palette [role=option]');
await look(ada, 'palette');
await ada.keyboard.type('laces');
await ada.waitForFunction(() => [...document.querySelectorAll('#palette [role=option]')].every(o => o.textContent.includes('laces')));
const active = await ada.getAttribute('#palette [role=combobox]', 'aria-activedescendant');
assert.equal(await ada.getAttribute(`#${active}`, 'aria-selected'), 'true');
await Promise.all([ada.waitForURL('**/issues/iss_*'), ada.keyboard.press('Enter')]);
assert.match(await ada.textContent('h1'), /Tighten the laces/);
figures.steps += 2;
await ada.keyboard.press('ControlOrMeta+k');
await ada.waitForSelector('#palette [role=option]');
await ada.keyboard.type('zzzz');
await ada.waitForFunction(() => document.querySelector('#palette [role=status]').textContent !== '');
await look(ada, 'palette-nothing');
await escape(ada);
await ada.keyboard.press('?');
await ada.waitForSelector('#shortcuts[open]');
await look(ada, 'shortcuts');
await escape(ada);
await ada.goto(`${base}/w/${slug}/jump?q=laces`);
await look(ada, 'jump');

// A theme that is chosen stays, on the next page too, before anything is painted.
const ground = () => ada.evaluate(() => getComputedStyle(document.body).backgroundColor);
const light = await ground();
await tabTo(ada, '.menu-end summary');
await ada.keyboard.press('Enter');
await tabTo(ada, 'input[name=theme]');
await ada.keyboard.press('ArrowDown');
await ada.keyboard.press('ArrowDown');
assert.equal(await ada.evaluate(() => document.documentElement.dataset.theme), 'dark');
const dark = await ground();
assert.notEqual(dark, light, 'the chosen theme is another');
await look(ada, 'theme');
await ada.goto(issue);
assert.equal(await ground(), dark, 'the chosen theme stays');
await look(ada, 'theme-issue');
await ada.evaluate(() => localStorage.removeItem('tracker.theme'));

// What is missing leads to the log lines of the request.
const missing = await ada.goto(`${base}/w/${slug}/projects/proj_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f`);
assert.equal(missing.status(), 404);
await look(ada, 'missing');
await press(ada, 'main a[href*="/requests/req_"]', '**/requests/req_*');
assert.match(await ada.textContent('main'), /kernel::access/);
await look(ada, 'request');

await ada.goto(`${base}/w/${slug}/members`);
await look(ada, 'members');

// Another tenant: everything of the first one looks as if it did not exist.
const eve = fault === 'shared-session' ? ada : await person();
if (fault !== 'shared-session') await signUp(eve, 'Eve');
let refused = 0;
for (const url of [`${base}/w/${slug}/projects`, project, issue, `${base}/w/${slug}/members`]) {
  const response = await eve.goto(url);
  assert.equal(response.status(), 404, `a stranger sees ${url}`);
  assert.ok(!(await eve.content()).includes('squeaks'));
  refused += 1;
}
await look(eve, 'not-found');

// Signed out, by keyboard, and the way back in.
await ada.goto(`${base}/w/${slug}/projects`);
await ada.evaluate(() => document.querySelector('form[action="/log-out"]').closest('details')?.setAttribute('open', ''));
await press(ada, 'form[action="/log-out"] button', `${base}/**`);
const closed = await ada.goto(`${base}/w/${slug}/projects`);
assert.ok(closed.status() === 401 || /log-in/.test(ada.url()), 'signed out, the workspace is closed');
await ada.goto(`${base}/log-in`);
await look(ada, 'log-in');
await type(ada, 'input[name=email]', `ada-${unique}@example.com`);
await type(ada, 'input[name=password]', 'correct horse battery');
await press(ada, 'main form button[type=submit]', '**/workspaces');
await look(ada, 'workspaces');

await browser.close();
for (const complaint of complaints) console.error(complaint);
console.log(JSON.stringify({ ...figures, refused }));
