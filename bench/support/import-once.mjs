/*
 * One process of bench/import.mjs: prints the milliseconds and the heap of importing a module as JSON. `none` imports nothing.
 * Also prints the loaded files that the package must not load before they are used.
 */
import { createRequire, Module } from 'node:module'

const [format, specifier] = process.argv.slice(2)
const require = createRequire(import.meta.url)

globalThis.gc?.() // present with --expose-gc: such a run measures the heap, and its time does not count
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
if (process.moduleLoadList.includes('NativeModule crypto')) loaded.push('node:crypto')
console.log(JSON.stringify({ ms, heapBytes, loaded }))
