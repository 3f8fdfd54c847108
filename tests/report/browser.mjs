// What Chromium makes of pages: node browser.mjs MODULES PAGE... prints JSON, a list of findings for every page.
// MODULES is the folder that holds node_modules with playwright-core and axe-core. SHOTS=FOLDER keeps pictures.
import { createRequire } from "node:module";
import { basename, dirname } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, ...pages] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${modules}/`));
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");
const WIDTHS = [360, 768, 1280, 1920];

// Elements that reach beyond the window, or text beyond its box, where nothing scrolls.
function overflow() {
  const scrolls = (one) => ["auto", "scroll"].includes(getComputedStyle(one).overflowX);
  const found = document.documentElement.scrollWidth > innerWidth ? ["the page"] : [];
  for (const one of document.body.querySelectorAll("*:not(.skip)")) {
    let around = one.parentElement;
    while (around && !scrolls(around)) around = around.parentElement;
    const box = one.getBoundingClientRect();
    if (!around && box.width && box.right > innerWidth + 1) found.push(`${one.tagName} ${one.className} ends at ${box.right}`);
    const inline = getComputedStyle(one).display.startsWith("inline");
    if (!inline && !scrolls(one) && one.clientWidth && one.scrollWidth > one.clientWidth + 1)
      found.push(`${one.tagName} ${one.className} holds ${one.scrollWidth} in ${one.clientWidth}: ${one.textContent.slice(0, 60)}`);
  }
  return found;
}

// What is broken in a table: a shadow where it ends or none where it goes on, names that scroll away or leave no room.
function tables() {
  const found = [];
  for (const scroll of document.querySelectorAll(".scroll")) {
    const edge = scroll.getBoundingClientRect(), say = (what) => found.push(`${scroll.ariaLabel}: ${what}`);
    const goesOn = scroll.scrollWidth > scroll.clientWidth + 2;
    if (goesOn !== scroll.parentElement.classList.contains("more")) say(`shadow is wrong`);
    scroll.scrollLeft = scroll.scrollWidth;
    const names = [...scroll.querySelectorAll("tbody tr:first-child td.name")].map((one) => one.getBoundingClientRect());
    if (names.some((box) => box.left < edge.left - 1)) say("names are scrolled away");
    if (names.at(-1).right > edge.left + 0.75 * edge.width) say("names leave no room");
    scroll.scrollLeft = 0;
  }
  return found;
}

// Every ranked column, sorted by a click: best first, rows for comparison at the end; a third click brings all back.
function ranks() {
  const found = [];
  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0], before = [...body.rows];
    for (const head of table.tHead.lastElementChild.cells) {
      if (!/[↑↓]/.test(head.textContent)) continue;
      const button = head.querySelector("button"), say = (what) => found.push(`${head.textContent}: ${what}`);
      const quiet = () => [...body.rows].map((row) => row.classList.contains("quiet"));
      button.click();
      const values = [...body.rows].filter((row) => !row.classList.contains("quiet"))
        .map((row) => parseFloat(row.cells[head.cellIndex].textContent.replaceAll(",", ""))).filter((value) => !isNaN(value));
      const sign = head.textContent.includes("↑") ? -1 : 1;
      if (values.some((value, at) => at && sign * (value - values[at - 1]) < 0)) say("not the best first");
      if (quiet().some((one, at, all) => at && !one && all[at - 1])) say("a row for comparison is ranked");
      button.click();
      if (quiet().some((one, at, all) => at && !one && all[at - 1])) say("a row for comparison is ranked");
      button.click();
      if (before.some((row, at) => row !== body.rows[at])) say("the order is lost");
    }
  }
  return found;
}

// Charts that are silent where the mouse points at a line, or keep what a click in their legend hides.
async function charts(tab) {
  const found = [], first = tab.locator(".chart").first();
  if (!(await first.count())) return found;
  const series = first.locator(".series").first(), legend = first.locator(".legend").last();
  const box = await series.boundingBox(), look = await legend.getAttribute("data-look");
  await tab.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  const [said] = await first.locator(".tip").allTextContents(), name = await series.getAttribute("data-name");
  if (said !== name) found.push(`a chart says ${said} of ${name}`);
  const shown = () => first.locator(`.series[data-look="${look}"]`).first().isVisible();
  for (const wanted of [false, true]) {
    await legend.click();
    if ((await shown()) !== wanted) found.push(`a click in the legend leaves ${look} ${wanted ? "hidden" : "there"}`);
  }
  await tab.mouse.move(0, 0);
  return found;
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const found = {};
for (const page of pages) {
  found[page] = [];
  const say = (what, where) => found[page].push(`${where}: ${what}`);
  for (const colorScheme of ["light", "dark"]) {
    const tab = await browser.newPage({ colorScheme });
    tab.on("pageerror", (error) => say(error.message, "script"));
    for (const width of WIDTHS) {
      const where = `${colorScheme}, ${width} px`;
      await tab.setViewportSize({ width, height: 900 });
      if (width === WIDTHS[0]) await tab.goto(pathToFileURL(page).href);
      await tab.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
      await tab.waitForTimeout(60);
      for (const what of await tab.evaluate(overflow)) say(what, where);
      for (const what of await tab.evaluate(tables)) say(what, where);
      if (process.env.SHOTS) {
        const name = `${process.env.SHOTS}/${basename(dirname(page))}-${colorScheme}-${width}.png`;
        await tab.screenshot({ path: name, fullPage: Boolean(process.env.FULL) });
      }
    }
    for (const what of await tab.evaluate(ranks)) say(what, "sorting");
    for (const what of await charts(tab)) say(what, "charts");
    await tab.addScriptTag({ path: axe });
    const { violations } = await tab.evaluate(() => axe.run());
    for (const { impact, id, nodes } of violations)
      if (["serious", "critical"].includes(impact)) say(`${id} ${nodes[0].html.slice(0, 200)} ${nodes[0].failureSummary}`, `axe, ${colorScheme}`);
    await tab.close();
  }
}
await browser.close();
console.log(JSON.stringify(found, null, 1));
