// Visits pages of generators in Chromium: node explore.mjs MODULES visit PAGE prints what happened as JSON, node
// explore.mjs MODULES networks GIVEN what the networks of pages draw: GIVEN is a file with a list of {page, z, mix}.
// SHOTS=FOLDER keeps pictures.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, what, given] = process.argv.slice(2);
const { chromium } = createRequire(pathToFileURL(`${modules}/`))("playwright-core");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const found = { requests: [], errors: [] };

const drawn = (tab) => tab.waitForFunction(() => document.body.dataset.drawn);

async function open(page, options = {}) {
  const tab = await browser.newPage({ viewport: { width: 1000, height: 900 }, ...options });
  tab.on("request", (each) => /^(file|blob|data):/.test(each.url()) || found.requests.push(each.url()));
  tab.on("pageerror", (error) => found.errors.push(error.message));
  await tab.goto(`${pathToFileURL(page).href}?seed=7`);
  await drawn(tab);
  return tab;
}

// Where the page is, and its images: the large one and those of the strips.
const look = (tab) =>
  tab.evaluate(() => {
    const { z, other, mix } = explore.state(), url = (canvas) => canvas.toDataURL();
    const strip = (name) => [...document.querySelectorAll(`#${name} canvas`)].map(url);
    const sliders = [...document.querySelectorAll("#sliders output")].map((each) => Number(each.textContent.replace("−", "-")));
    const images = { image: url(document.querySelector("#image")), classes: strip("classes"), path: strip("path"), between: strip("between") };
    return { z, other, mix, sliders, said: document.querySelector("#said").textContent, ...images };
  });

async function press(tab, where, ...keys) {
  await tab.locator(where).focus();
  for (const key of keys) await tab.keyboard.press(key);
  await drawn(tab);
  return look(tab);
}

async function visit(page) {
  const tab = await open(page), start = await look(tab);
  if (process.env.SHOTS) await tab.screenshot({ path: `${process.env.SHOTS}/wide.png`, fullPage: true });
  const took = Number((await tab.innerText("#took")).replace(" ms", ""));
  const moved = await press(tab, "#sliders input >> nth=1", ...Array(10).fill("ArrowRight"));
  const halfway = await press(tab, "#path button >> nth=4", "Enter");
  const arrived = await press(tab, "#path button >> nth=8", "Enter");
  const another = await press(tab, "#again", "Enter");
  const end = await press(tab, "#end", "Enter");
  const more = start.classes.length ? { chosen: await press(tab, "#classes button >> nth=2", "Enter"), mixed: await press(tab, "#between button >> nth=4", "Enter") } : {};
  const pressed = await tab.locator("#classes [aria-pressed=true]").count();
  const again = await look(await open(page));
  const narrow = await open(page, { viewport: { width: 360, height: 740 }, colorScheme: "dark" });
  if (process.env.SHOTS) await narrow.screenshot({ path: `${process.env.SHOTS}/narrow.png`, fullPage: true });
  const width = await narrow.evaluate(() => document.documentElement.scrollWidth);
  return { start, moved, halfway, arrived, another, end, ...more, pressed, again, took, width };
}

async function networks(cases) {
  const images = [];
  for (const { page, z, mix } of cases) {
    const tab = await open(page);
    images.push(await tab.evaluate(({ z, mix }) => z.map((each, at) => [...explore.generate(each, mix[at])]), { z, mix }));
    await tab.close();
  }
  return { images };
}

Object.assign(found, what === "visit" ? await visit(given) : await networks(JSON.parse(readFileSync(given, "utf8"))));
await browser.close();
console.log(JSON.stringify(found));
