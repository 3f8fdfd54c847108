// Plays the game's page in Chromium: node game.mjs MODULES PAGE [GIVEN], GIVEN being {z, labels, images} as JSON in a
// file: what the page's networks make of them is printed as JSON, with what happened in a game. SHOTS=FOLDER keeps
// pictures.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, page, given] = process.argv.slice(2);
const { chromium } = createRequire(pathToFileURL(`${modules}/`))("playwright-core");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const found = { requests: [], errors: [] };

async function open(options = {}, seed = 7) {
  const tab = await browser.newPage({ viewport: { width: 1000, height: 900 }, ...options });
  tab.on("request", (each) => /^(file|blob|data):/.test(each.url()) || found.requests.push(each.url()));
  tab.on("pageerror", (error) => found.errors.push(error.message));
  await tab.goto(`${pathToFileURL(page).href}?seed=${seed}`);
  await tab.waitForFunction(() => window.game);
  return tab;
}

const phase = (tab, name) => tab.waitForFunction((name) => document.body.dataset.phase === name, name);

// Strokes: lists of points in parts of the paper.
async function draw(tab, strokes) {
  const box = await tab.locator("#paper").boundingBox();
  const go = ([x, y]) => tab.mouse.move(box.x + x * box.width, box.y + y * box.height);
  for (const [first, ...others] of strokes) {
    await go(first);
    await tab.mouse.down();
    for (const point of others) await go(point);
    await tab.mouse.up();
  }
}

const ONE = [[[0.52, 0.2], [0.5, 0.5], [0.48, 0.8]]];
const SCRIBBLE = [[[0.1, 0.1], [0.9, 0.2], [0.1, 0.4], [0.9, 0.6], [0.1, 0.8], [0.9, 0.9]]];

async function round(tab, strokes, shot) {
  await phase(tab, "ready");
  await draw(tab, strokes);
  await phase(tab, "drawing");
  if (process.env.SHOTS && shot) await tab.screenshot({ path: `${process.env.SHOTS}/${shot}-drawing.png` });
  await Promise.race([phase(tab, "judged"), phase(tab, "over")]);
  if (process.env.SHOTS && shot) await tab.screenshot({ path: `${process.env.SHOTS}/${shot}.png`, fullPage: true });
}

// Ten rounds, of which every second one is scribbled.
async function play() {
  const tab = await open({ acceptDownloads: true });
  await tab.getByText("0.5").click();
  await tab.selectOption("[name=digit]", { label: "1" });
  await tab.click("#go");
  const took = [];
  for (let number = 0; number < 10; number++) {
    await round(tab, number % 2 ? SCRIBBLE : ONE, number === 2 && "one");
    took.push(Number(await tab.evaluate(() => document.body.dataset.took)));
    if (number < 9) await tab.click("#go");
  }
  const [download] = await Promise.all([tab.waitForEvent("download"), tab.click("#save")]);
  const result = JSON.parse(readFileSync(await download.path(), "utf8"));
  const rows = await tab.$$eval("#history tbody tr", (rows) => rows.map((row) => row.innerText));
  if (process.env.SHOTS) await tab.screenshot({ path: `${process.env.SHOTS}/over.png`, fullPage: true });
  return { result, rows, took, score: await tab.innerText("#score"), said: await tab.innerText("#said") };
}

// A stroke downwards by keyboard alone.
async function byKeys() {
  const tab = await open();
  await tab.keyboard.press("Tab");
  for (let at = 0; at < 20 && (await tab.evaluate(() => document.activeElement.id)) !== "go"; at++) await tab.keyboard.press("Tab");
  await tab.keyboard.press("Enter");
  await phase(tab, "ready");
  await tab.keyboard.press("Space");
  await tab.keyboard.down("ArrowDown");
  await tab.waitForTimeout(400);
  await tab.keyboard.up("ArrowDown");
  if (process.env.SHOTS) await tab.screenshot({ path: `${process.env.SHOTS}/keys.png` });
  await tab.keyboard.press("Enter");
  await phase(tab, "judged");
  return tab.evaluate(() => game.result().rounds[0].yours);
}

// How a stroke is normalised, wherever and however large it was drawn.
async function normalised() {
  const tab = await open();
  return tab.evaluate(
    ([one]) => [one, one.map((each) => each.map(([x, y]) => [0.3 * x + 0.6, 0.3 * y])), [], [[[0.5, 0.5], [0.5, 0.5]]]].map((strokes) => [...game.normalise(strokes)]),
    [ONE],
  );
}

// Text that is cut off or reaches beyond a narrow window, before and after a round.
async function narrow() {
  const tab = await open({ viewport: { width: 360, height: 740 }, colorScheme: "dark", hasTouch: true });
  await tab.click("#go");
  await round(tab, ONE, "narrow");
  return tab.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
}

async function networks() {
  const tab = await open(), { z, labels, images } = JSON.parse(readFileSync(given, "utf8"));
  return tab.evaluate(({ z, labels, images }) => ({
    drawn: z.map((each, at) => [...game.generate(each, labels[at])]),
    logits: images.map((pixels) => [...game.judge(pixels)]),
  }), { z, labels, images });
}

if (given) Object.assign(found, await networks());
else Object.assign(found, { play: await play(), keys: await byKeys(), normalised: await normalised(), narrow: await narrow() });
await browser.close();
console.log(JSON.stringify(found));
