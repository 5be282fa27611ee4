/*
 * Builds dist. The code is bundled once, as CommonJS, which every Node loads synchronously: one file for each entry and one for shared code,
 * since many small modules load slowly. The ES modules re-export the CommonJS ones, so that an app that uses both formats loads the package
 * once. Dependencies stay imports. Only the inspector's page is minified: stack traces of the rest show readable code, and an uncaught error
 * prints one short line of it.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { rollup } from 'rollup'
import { dts } from 'rollup-plugin-dts'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))
const lib = join(root, 'lib')
const dist = join(root, 'dist')
const entries = ['index', 'sqlite', 'postgres', 'inspector', 'testing']

const neighbour = (path) => `./${path.split('/')[1] ?? 'index'}.js`
/** Imports of the package by its own name become imports of the entry beside this one. */
const paths = (id) => (/^conversion-webhook(\/|$)/.test(id) ? neighbour(id) : id)
const external = (id) => !/^[./]/.test(id)

/** Strips the types of TypeScript and changes nothing else. */
const typescript = {
  name: 'typescript',
  resolveId(source, importer) {
    if (importer === undefined || external(source)) return null
    const file = resolve(importer, '..', source.replace(/\.js$/, '.ts'))
    return existsSync(file) ? file : null
  },
  load: (id) => ts.transpileModule(readFileSync(id, 'utf8'), { compilerOptions, fileName: id }).outputText,
}
const compilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
}

async function bundle(names, output) {
  const input = Object.fromEntries(names.map((name) => [name, join(lib, `${name}.ts`)]))
  const bundled = await rollup({ input, external, plugins: [typescript], onwarn: fail })
  const written = await bundled.write({ paths, minifyInternalExports: false, ...output })
  await bundled.close()
  return written.output
}

/** The names of the entries that import a module, directly or indirectly. */
function entriesOf(id, getModuleInfo, seen = new Set()) {
  if (seen.has(id)) return []
  seen.add(id)
  const { isEntry, importers } = getModuleInfo(id)
  const names = importers.flatMap((importer) => entriesOf(importer, getModuleInfo, seen))
  return isEntry ? [basename(id, '.ts'), ...names] : names
}

function fail({ message }) {
  throw new Error(message)
}

rmSync(dist, { recursive: true, force: true })

const made = await bundle(entries, {
  dir: join(dist, 'cjs'),
  format: 'cjs',
  esModule: true,
  interop: 'default',
  chunkFileNames: 'shared.js', // rollup adds a number if there are several
  manualChunks: (id, { getModuleInfo }) => {
    const users = entriesOf(id, getModuleInfo)
    return users.length > 1 && users.includes('index') ? 'shared' : undefined
  },
})
await bundle(['cli'], { dir: join(dist, 'esm'), format: 'es', banner: '#!/usr/bin/env node' })
chmodSync(join(dist, 'esm/cli.js'), 0o755)

// The page is minified: only browsers load it.
await build({
  absWorkingDir: root,
  entryPoints: ['page.ts', 'page.css', 'page.html'].map((name) => `lib/inspector/page/${name}`),
  outdir: 'dist/page',
  bundle: true,
  platform: 'browser',
  target: 'es2022',
  format: 'iife',
  minify: true,
  loader: { '.html': 'copy' },
  logLevel: 'warning',
})
// uPlot is bundled into the page's script, so its licence is shipped too.
copyFileSync(join(root, 'node_modules/uplot/LICENSE'), join(dist, 'page/uplot.LICENSE'))

for (const { isEntry, fileName, exports } of made) {
  if (!isEntry) continue
  writeFileSync(join(dist, 'esm', fileName), `export { ${exports.toSorted().join(', ')} } from '../cjs/${fileName}'\n`)
}
for (const [format, type] of [
  ['esm', 'module'],
  ['cjs', 'commonjs'],
]) {
  writeFileSync(join(dist, format, 'package.json'), `${JSON.stringify({ type })}\n`)
}

/** If an app has not installed the types of an optional peer, they become `any` instead of an error in the app's type check. */
const optionalTypes = {
  name: 'optional-types',
  renderChunk: (code) => code.replaceAll(/^import .* from 'pg';$/gm, '// @ts-ignore\n$&'),
}

// The declarations are bundled in the same way, without those that no entry uses.
const declarations = join(dist, 'declarations')
const tsc = [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json')]
execFileSync(process.execPath, [...tsc, '--outDir', declarations], { stdio: 'inherit' })
const declared = await rollup({
  input: Object.fromEntries(entries.map((name) => [name, join(declarations, `${name}.d.ts`)])),
  plugins: [dts(), optionalTypes],
  external,
})
await declared.write({
  dir: join(dist, 'cjs'),
  entryFileNames: '[name].d.ts',
  chunkFileNames: 'shared-[hash].d.ts',
  paths,
})
await declared.close()
for (const name of entries) writeFileSync(join(dist, 'esm', `${name}.d.ts`), `export * from '../cjs/${name}.js'\n`)
rmSync(declarations, { recursive: true })
