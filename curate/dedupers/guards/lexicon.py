"""Words that turn a sentence round, and words that turn nothing; the lists that the guards go by.

A list is worth its place if leaving one of its words out, or putting another one there, makes another statement. Words are
given as `words.fold` leaves them: lower case, without apostrophes and hyphens.
"""

from __future__ import annotations

_NOT = """
dont doesnt didnt isnt arent wasnt werent hasnt havent hadnt wont wouldnt cant cannot couldnt shouldnt mustnt neednt aint
mightnt shant
"""

_DENIALS = """
    not no nor never none neither nobody nothing nowhere without unless except hardly barely scarcely lacks lacking
    ne n pas jamais aucun aucune rien personne sans ni plus non
    nicht nichts kein keine keinen keinem keiner nie niemals niemand ohne nein weder
    nunca sin nadie nada jamas tampoco ninguno ninguna ningun
    não nao sem nem ninguém mai senza nessuno nessuna niente neanche
    niet geen nooit niemand zonder inte ej aldrig ingen inget utan ikke aldri uten uden
    nie bez nigdy žádný bez nikdy nem nincs soha nélkül nu fără niciodată ei eivät koskaan ilman
    tidak bukan tanpa jangan belum değil yok hiç olmadan không chưa đừng
    не нет без никогда ни никто нельзя немає ніколи
    لا لم لن ليس غير بدون לא אין בלי नहीं मत बिना না নয় δεν μην χωρίς ποτέ نه بدون
    不 没 無 无 非 未 勿 別 别 沒 莫
"""

NEGATION = dict.fromkeys(_NOT.split(), "not") | {word: word for word in _DENIALS.split()}
"""Words that deny, each with the one that it counts as: "don't" denies as "not" does."""

NEGATION_PARTS = ("ない", "ません", "なかっ", "ไม่", "อย่า", "않", "못하", "없", "아니")
"""What denies inside a word, in languages that write no space there or bend the verb."""

_OPPOSITES = """
    from to into onto off on in out up down left right above below over under before after until since between
    front back top bottom inside outside upper lower inner outer first last next previous past future earlier later
    north south east west northern southern eastern western clockwise anticlockwise counterclockwise forward backward
    forwards backwards inbound outbound upstream downstream
    increase increases increased increasing decrease decreases decreased decreasing rise rises rose rising fall falls fell
    falling raise raised lower lowered grow grows grew shrink shrinks more less fewer most least higher highest lowest max min
    maximum minimum at greater smaller larger bigger longer shorter faster slower
    open opens opened opening close closes closed closing start starts started starting stop stops stopped stopping begin
    begins end ends ended enable enables enabled enabling disable disables disabled disabling activate activated deactivate
    deactivated add adds added adding remove removes removed removing delete deletes deleted create creates created insert
    send sends sent receive receives received buy buys bought sell sells sold borrow lend win wins won lose loses lost
    accept accepts accepted reject rejects rejected refuse refused allow allows allowed deny denies denied forbid forbidden
    permit block blocked unblock lock locked unlock unlocked include includes included exclude excludes excluded
    import imports imported export exports exported encrypt encrypts decrypt decrypts encode encodes decode decodes
    compress compresses decompress extract extracts install installs uninstall uninstalls mount unmount connect connected
    disconnect disconnected push pushes pull pulls upload uploads uploaded download downloads downloaded load unload read
    reads write writes show shows hide hides visible hidden attach detach lift succeed succeeds succeeded fail fails failed
    success failure pass passed love loves hate hates like dislike credit debit deposit deposits withdraw withdrawal income
    expense profit gain loss cause causes prevent prevents
    hot cold warm cool high low big small large tall short long wide narrow thick thin heavy light fast slow early late
    old new young true false yes good bad better worse best worst safe unsafe dangerous legal illegal possible impossible
    positive negative active inactive valid invalid public private internal external single married male female man woman
    boy girl men women boys girls he she his her him brother sister father mother son daughter husband wife king queen
    alive dead full empty dry wet clean dirty hard soft strong weak rich poor cheap expensive same different equal unequal
    local remote online offline domestic foreign domestic international arrival departure arrive arrives arrived depart
    departs departed leave leaves
    all any some every each both either and or but only also always often sometimes usually rarely must may might
    will shall need was were if when while because although than as once twice
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion trillion half third
    quarter double triple dozen second fourth fifth
    monday tuesday wednesday thursday friday saturday sunday today tomorrow yesterday tonight morning noon afternoon evening
    night midnight weekday weekend january february march april june july august september october november december
    spring summer autumn winter hour hours minute minutes day days week weeks month months year years daily weekly monthly
    yearly hourly quarterly annual annually
    red green blue yellow black white orange purple pink brown grey gray gold silver
    kg km mg mm cm ml gb mb kb tb hz khz mhz ghz kw mw gram grams kilogram kilograms meter meters metre metres kilometer
    kilometers kilometre kilometres mile miles inch inches feet foot liter liters litre litres celsius fahrenheit
    dollar dollars euro euros pound pounds yen usd eur gbp chf percent
    you we they my your our their me us them mine yours ours theirs pm xs xl xxl small medium
    who where why
    calm clam sign sing dairy diary angel angle quiet quite casual causal expect unite united untie untied bolt blot sacred
    scared marital martial trail trial tried tired county country desert dessert through though thorough world word month
    moth price prince friend fiend heart hear steam stem plane plan planet plant board broad bored beard bread there three
    here dinner diner latter loose choose chose costume custom moral morale human humane breath breathe cloth clothe
    envelop envelope personal personnel content contest contract contact mother moter father farther
    vers depuis avant après apres avec contre dans sous sur gauche droite ouvrir fermer ouvert fermé oui haut bas
    nach von vor zu aus auf ab links rechts öffnen schließen mit gegen unter über ja
    desde hasta hacia antes después despues con contra izquierda derecha abrir cerrar arriba abajo dentro fuera sí
    para por até antes depois com esquerda direita abrir fechar sim
    prima dopo contro sinistra destra aprire chiudere sopra sotto naar voor met tegen links rechts openen sluiten
    от до из в на с под над перед после слева справа открыть закрыть да
"""

_HARMLESS = """
    a an the please pls plz kindly thanks thank thankyou hi hello hey dear greetings cheers regards sincerely ok okay um uh
    well so just really actually simply basically literally oh ah
    bonjour merci svp salut le la les un une des l d
    hallo bitte danke der die das den dem ein eine einen einem einer
    hola gracias favor el los las una unos unas olá ola obrigado obrigada o os as um uma uns umas
    ciao grazie prego il lo gli uno alsjeblieft bedankt het een hej tack
"""

HARMLESS = frozenset(_HARMLESS.split())
"""Articles and words of courtesy: whether they stand there changes nothing."""

_UNDONE = {
    "des": """activa activar activada activado activadas activados activat activeu activen activan activam ativa ativar ativada
        ativado ativam instala instalar instalada instalado instalat instalen instalan instalam instal·la instal·lar habilita
        habilitar habilitada habilitado habilitat monta montar muntar munta conecta conectar conectada conectado connecta
        connectar bloquea bloquear bloqueada bloqueado bloqueia bloqueja comprime comprimir comprimeix compacta compactar
        empaqueta empaquetar encripta encriptar cifra cifrar liga ligar cargar carga registra registrar suscribe vincula
        vincular""",
    "dés": "active activer activé activée activez activent installe installer installé installez inscrire inscrit",
    "dé": """connecte connecter connecté connectez verrouille verrouiller verrouillé bloque bloquer bloqué monte monter
        compresse compresser chiffre chiffrer charge charger code coder""",
    "dis": "attiva attivare attivato installa installare installato abilita abilitare abilitato",
    "de": """aktiviere aktivieren aktiviert installiere installieren installiert komprimiere komprimieren activeer
        activeren geactiveerd installeer installeren chiffriere chiffrieren""",
    "ent": "sperre sperren sperrt sperrte packe packen packt schlüssele schlüsseln laden ladet",
}
"""Words of other languages that a prefix turns into their opposite: "activa" and "desactiva"."""

OPPOSITES = frozenset(_OPPOSITES.split()) - HARMLESS | frozenset(
    prefix + word for prefix, words in _UNDONE.items() for word in words.split()
)
"""Words of direction, degree, quantity, time, colour, unit, person and modality, and the ends of common oppositions."""

COURTESY = (
    "thanks in advance", "thank you in advance", "thank you very much", "thank you so much", "thanks a lot", "thank you",
    "many thanks", "thanks", "best regards", "kind regards", "good morning", "good afternoon", "good evening",
    "s'il vous plaît", "s'il te plaît", "por favor", "vielen dank", "im voraus", "guten tag",
)  # fmt: skip
"""Phrases that are courtesy as a whole, though their words are not; the longer ones first."""
