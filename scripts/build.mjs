/*
 * dist: the code once, as CommonJS, which every Node loads without waiting: an entry a file, and what they share, since many small modules
 * cost more to load than to run. The ES modules hand on what these export, so that an app that uses both has one package, not two.
 * Dependencies stay imports, names stay readable in stack traces.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { rollup } from 'rollup'
import { dts } from 'rollup-plugin-dts'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const entries = ['index', 'sqlite', 'postgres', 'inspector', 'testing']

const neighbour = (path) => `./${path.split('/')[1] ?? 'index'}.js`
/** The package by its own name is the entry next door, and the page is a file that was built. */
const neighbours = {
  name: 'neighbours',
  setup({ onResolve }) {
    onResolve({ filter: /^conversion-webhook(\/|$)/ }, ({ path }) => ({ path: neighbour(path), external: true }))
    onResolve({ filter: /^\.\.\/page\// }, ({ path }) => ({ path, external: true }))
  },
}

const common = {
  absWorkingDir: root,
  minifySyntax: true,
  minifyWhitespace: true,
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
}
const bundled = { ...common, bundle: true, packages: 'external', plugins: [neighbours] }
const files = (names) => names.map((name) => `lib/${name}.ts`)

rmSync(dist, { recursive: true, force: true })

// Only ES modules can be split into what they share; each part becomes CommonJS by itself.
const parts = join(dist, 'parts')
const { metafile } = await build({
  ...bundled,
  entryPoints: files(entries),
  outdir: parts,
  format: 'esm',
  splitting: true,
  chunkNames: 'shared-[hash]',
  metafile: true,
})
const made = readdirSync(parts).map((name) => join(parts, name))
await build({ ...common, entryPoints: made, outdir: 'dist/cjs', format: 'cjs' })
rmSync(parts, { recursive: true })

// Nobody reads the stack of a command, or the source of the page.
const command = { ...bundled, minify: true, banner: { js: '#!/usr/bin/env node' } }
await build({ ...command, entryPoints: files(['cli']), outdir: 'dist/esm', format: 'esm' })
await build({
  ...bundled,
  entryPoints: ['page.ts', 'page.css', 'page.html'].map((name) => `lib/inspector/page/${name}`),
  outdir: 'dist/page',
  platform: 'browser',
  target: 'es2022',
  format: 'iife',
  minify: true,
  loader: { '.html': 'copy' },
})

for (const [file, { exports }] of Object.entries(metafile.outputs)) {
  const name = basename(file)
  if (name.startsWith('shared-')) continue
  writeFileSync(join(dist, 'esm', name), `export { ${exports.toSorted().join(', ')} } from '../cjs/${name}'\n`)
}
for (const [format, type] of [
  ['esm', 'module'],
  ['cjs', 'commonjs'],
]) {
  writeFileSync(join(dist, format, 'package.json'), `${JSON.stringify({ type })}\n`)
}

/** Where the types of an optional peer are not installed, what is taken from them is `any`, and no error of the user's. */
const optionalTypes = {
  name: 'optional-types',
  renderChunk: (code) => code.replaceAll(/^import .* from 'pg';$/gm, '// @ts-ignore\n$&'),
}

// The declarations in the same way, with nothing that no entry leads to.
const declarations = join(dist, 'declarations')
const tsc = [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json')]
execFileSync(process.execPath, [...tsc, '--outDir', declarations], { stdio: 'inherit' })
const bundle = await rollup({
  input: Object.fromEntries(entries.map((name) => [name, join(declarations, `${name}.d.ts`)])),
  plugins: [dts(), optionalTypes],
  external: (id) => !/^[./]/.test(id),
})
await bundle.write({
  dir: join(dist, 'cjs'),
  entryFileNames: '[name].d.ts',
  chunkFileNames: 'shared-[hash].d.ts',
  paths: (id) => (/^conversion-webhook(\/|$)/.test(id) ? neighbour(id) : id),
})
await bundle.close()
for (const name of entries) writeFileSync(join(dist, 'esm', `${name}.d.ts`), `export * from '../cjs/${name}.js'\n`)
rmSync(declarations, { recursive: true })
