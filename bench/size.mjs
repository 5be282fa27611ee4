/*
 * Why: every dependency is one more package to trust, to update and to ship. Measures what installing the packed tarball adds to an app with
 * Express and without the optional peers: packages, bytes on disk, and the tarball itself. The code is not minified, so that stack traces
 * show readable code.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { report } from './support/report.mjs'

const { devDependencies } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-size-'))
const npm = (...args) =>
  execFileSync('npm', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
const bytesOf = (path) =>
  statSync(path).isDirectory()
    ? readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0)
    : statSync(path).size
const installed = () => ({
  packages: npm('ls', '--all', '--parseable').trim().split('\n').length - 1,
  bytes: bytesOf(join(folder, 'node_modules')),
})

try {
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [{ filename, size }] = JSON.parse(packed)
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  npm('install', '--no-audit', '--no-fund', `express@${devDependencies.express}`)
  const before = installed()
  npm('install', '--no-audit', '--no-fund', `./${filename}`)
  const after = installed()
  const figure = (value) => ({ median: value, min: value, max: value })
  report('Installing it beside Express', [
    { what: 'packages added', ...figure(after.packages - before.packages), digits: 0, atMost: 10 },
    { what: 'added on disk', ...figure((after.bytes - before.bytes) / 1e6), unit: 'MB', atMost: 3 },
    { what: 'own tarball', ...figure(size / 1e3), unit: 'kB', digits: 0, atMost: 350 },
  ])
} finally {
  rmSync(folder, { recursive: true, force: true })
}
