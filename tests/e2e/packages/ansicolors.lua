-- needs: ansicolors
local colors = require "ansicolors"
print((("%q"):format(colors("%{red}hello %{bright bluebg}world%{reset}"))))
