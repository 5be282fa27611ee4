/*
 * dist/esm and dist/cjs: one bundled file an entry, since many small modules cost more to load than to run, and the declarations of both
 * formats. Dependencies stay imports, names stay readable in stack traces. Entries that need a Node which can require ES modules exist
 * once: their CommonJS form loads the other one.
 */
import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { rollup } from 'rollup'
import { dts } from 'rollup-plugin-dts'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const entries = ['index', 'sqlite', 'postgres', 'testing']
/** Entries that share no code with the others; together, esbuild would put its helpers into one more file for the main entry to load. */
const alone = ['testing']
/** Entries for Node 22.13 and later, by what they export there. */
const modern = { sqlite: 'sqliteInbox', postgres: 'postgresInbox' }

// What loads late is required, which an ES module has to be taught.
const banner = `import { createRequire as createRequireOfWebhook } from 'node:module'
const require = createRequireOfWebhook(import.meta.url)`

const common = {
  absWorkingDir: root,
  bundle: true,
  minifySyntax: true,
  minifyWhitespace: true,
  platform: 'node',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
}
const files = (names) => names.map((name) => `lib/${name}.ts`)

rmSync(dist, { recursive: true, force: true })
await build({
  ...common,
  entryPoints: files(entries.filter((name) => !alone.includes(name))),
  outdir: 'dist/esm',
  format: 'esm',
  splitting: true,
  chunkNames: 'shared-[hash]',
  banner: { js: banner },
})
await build({ ...common, entryPoints: files(alone), outdir: 'dist/esm', format: 'esm' })
await build({
  ...common,
  entryPoints: files(entries.filter((name) => !(name in modern))),
  outdir: 'dist/cjs',
  format: 'cjs',
})
for (const [name, factory] of Object.entries(modern)) {
  writeFileSync(
    join(dist, 'cjs', `${name}.js`),
    `'use strict'
try {
  module.exports = require('../esm/${name}.js')
} catch (cause) {
  if (cause.code !== 'ERR_REQUIRE_ESM') throw cause
  const errors = require('./index.js')
  module.exports = {
    ConversionWebhookError: errors.ConversionWebhookError,
    isConversionWebhookError: errors.isConversionWebhookError,
    ${factory}() {
      const message = '${factory} needs Node 22.13 or later; this is ' + process.version + '.'
      throw new errors.ConversionWebhookError('ERR_CONVERSION_NODE_UNSUPPORTED', { message, cause })
    },
  }
}
`,
  )
}

for (const [format, type] of [
  ['esm', 'module'],
  ['cjs', 'commonjs'],
]) {
  writeFileSync(join(dist, format, 'package.json'), `${JSON.stringify({ type })}\n`)
}

/*
 * The declarations of both formats are the same texts: one file an entry and what they share, with nothing that no entry leads to.
 */
const declarations = join(dist, 'declarations')
const tsc = [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json')]
execFileSync(process.execPath, [...tsc, '--outDir', declarations], { stdio: 'inherit' })
const bundle = await rollup({
  input: Object.fromEntries(entries.map((name) => [name, join(declarations, `${name}.d.ts`)])),
  plugins: [dts()],
  external: (id) => !/^[./]/.test(id),
})
for (const format of ['esm', 'cjs']) {
  await bundle.write({ dir: join(dist, format), entryFileNames: '[name].d.ts', chunkFileNames: 'shared-[hash].d.ts' })
}
await bundle.close()
rmSync(declarations, { recursive: true })
