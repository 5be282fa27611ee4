/*
 * dist/esm and dist/cjs: one bundled file an entry, since many small ES modules cost more to load than to run, and the declarations of
 * both formats. Dependencies stay imports.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const entries = ['index', 'sqlite']

// What loads late is required, which an ES module has to be taught.
const banner = `import { createRequire as createRequireOfWebhook } from 'node:module'
const require = createRequireOfWebhook(import.meta.url)`

const formats = [
  { format: 'esm', type: 'module', banner: { js: banner } },
  { format: 'cjs', type: 'commonjs', banner: {} },
]

rmSync(`${root}/dist`, { recursive: true, force: true })
for (const { format, type, banner } of formats) {
  const outdir = `${root}/dist/${format}`
  await build({
    absWorkingDir: root,
    entryPoints: entries.map((entry) => `lib/${entry}.ts`),
    outdir,
    format,
    banner,
    bundle: true,
    platform: 'node',
    target: 'node20',
    packages: 'external',
    logLevel: 'warning',
  })
  mkdirSync(outdir, { recursive: true })
  writeFileSync(`${outdir}/package.json`, `${JSON.stringify({ type })}\n`)
  const tsc = [`${root}/node_modules/typescript/bin/tsc`, '-p', `${root}/tsconfig.build.json`, '--outDir', outdir]
  execFileSync(process.execPath, tsc, { stdio: 'inherit' })
}
