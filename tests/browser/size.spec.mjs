// The first view is small: what a phone on a slow line loads before it sees the page.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const DIST = fileURLToPath(new URL("../../crates/web/app/dist/", import.meta.url));
const FIRST_VIEW_BYTES_MAX = 60 * 1024;

const read = (path) => readFileSync(DIST + path);

const IMPORTS = /(?:^|[;}\s])(?:import|export)\s*(?:[\w{}*,$\s]+?from\s*)?"(\.[^"]+)"/g;

/** A page (or a script) with all it loads at once: scripts with their static imports, styles, pictures. */
function firstView(start) {
  const files = new Set();
  const todo = [start];
  for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    if (!/\.(html|js)$/.test(file)) continue;
    const links = file.endsWith(".html") ? /(?:src|href)="([^"]+\.(?:js|css|svg))"/g : IMPORTS;
    for (const [, path] of read(file).toString().matchAll(links)) {
      todo.push(path.startsWith("/") ? path.slice(1) : posix.join(posix.dirname(file), path));
    }
  }
  return [...files];
}

const gzipped = (files) => files.reduce((sum, file) => sum + gzipSync(read(file), { level: 9 }).length, 0);

for (const [page, what] of [["index.html", "home"], ["verify/index.html", "the page that verifies"]]) {
  test(`the first view is at most 60 kB, compressed: ${what}`, () => {
    const files = firstView(page);
    assert.ok(files.some((file) => file.endsWith(".js")) && files.some((file) => file.endsWith(".css")), files.join(" "));
    const bytes = gzipped(files);
    console.log(`first view, ${what}: ${bytes} bytes gzip in ${files.length} files`);
    assert.ok(bytes <= FIRST_VIEW_BYTES_MAX, `${bytes} bytes: ${files.join(" ")}`);
  });
}

test("a person's own lines cost little more, and the rest is loaded when it is wanted", () => {
  const files = readdirSync(`${DIST}assets`).filter((file) => /\.(js|css)$/.test(file)).map((file) => `assets/${file}`);
  const trail = files.filter((file) => /Mine-/.test(file)).flatMap((file) => (file.endsWith(".js") ? firstView(file) : [file]));
  assert.ok(trail.length > 2, "the trail was not found");
  const bytes = gzipped([...new Set([...firstView("index.html"), ...trail])]);
  console.log(`home and trail together: ${bytes} bytes gzip; all scripts and styles: ${gzipped(files)}`);
  assert.ok(bytes > gzipped(firstView("index.html")), "the trail is part of the first view");
});

test("no script or style stands in the markup", () => {
  for (const page of ["index.html", "verify/index.html"]) {
    const html = read(page).toString();
    assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)/, page);
    assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=/, page);
  }
});
