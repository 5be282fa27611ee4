module.exports = globalThis.nativeRequire('pg-boss')
