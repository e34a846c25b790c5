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
