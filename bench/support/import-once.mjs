/*
 * One process of bench/import.mjs: what importing a module costs this process, as JSON. `none` imports nothing.
 * What the package must not load before it is used is looked for in the list of loaded files.
 */
import { createRequire, Module } from 'node:module'

const [format, specifier] = process.argv.slice(2)
const require = createRequire(import.meta.url)

globalThis.gc?.() // with --expose-gc the heap is what counts: the time then is not that of an app
const before = process.memoryUsage().heapUsed
const startedAt = performance.now()
if (format === 'esm') await import(specifier)
if (format === 'cjs') require(specifier)
const ms = performance.now() - startedAt
globalThis.gc?.()
const heapBytes = process.memoryUsage().heapUsed - before
const loaded = Object.keys(Module._cache).filter((file) =>
  /node_modules\/(ajv\/dist\/(ajv|core)|express|pg-boss|pg)\b/.test(file),
)
console.log(JSON.stringify({ ms, heapBytes, loaded }))
