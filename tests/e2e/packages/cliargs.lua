-- needs: cliargs
-- profile: full
local cli = require "cliargs"
cli:set_name("prog")
cli:argument("ROOT", "path")
cli:option("-o, --output=FILE", "output", "out.txt")
cli:flag("-v, --verbose", "say more", false)
local args, err = cli:parse{ "--verbose", "-o", "x.txt", "root" }
print(args and args.ROOT, args and args.output, args and args.verbose, err)
